# Stands for the infrastructure of one region. terraform_data is built in: it needs no provider and no cloud.

variable "region" {
  description = "The region."
  type        = string
}

resource "terraform_data" "api" {
  input = "api in ${var.region}"
}

output "region" {
  value = var.region
}
