# Stands for the infrastructure of an API. terraform_data is built in: it needs no provider and no cloud.

terraform {
  required_version = ">= 1.5"
}

variable "gateway" {
  description = "Version of the gateway."
  type        = string
}

variable "settings" {
  description = "Settings of the API, by name."
  type        = map(string)
}

resource "terraform_data" "gateway" {
  input = var.gateway
}

resource "terraform_data" "setting" {
  for_each = var.settings
  input    = each.value
}

output "gateway" {
  value = terraform_data.gateway.output
}
