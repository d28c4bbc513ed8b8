gateway = "v2"

settings = {
  rate-limit = "100 per second"
  cache      = "256Mi"
  replicas   = "3"
}
