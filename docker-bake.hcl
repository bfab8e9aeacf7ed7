# docker buildx bake: both images, with tags in the shapes of RabbitMQ's, so that only the name before the colon changes.
variable "REPOSITORY" {
  default = "leveret"
}

group "default" {
  targets = ["default", "distroless"]
}

target "default" {
  target    = "default"
  platforms = ["linux/amd64", "linux/arm64"]
  tags = [
    for tag in [
      "latest", "management", "alpine", "management-alpine",
      "4", "4-management", "4-alpine", "4-management-alpine",
      "4.2", "4.2-management", "4.2-alpine", "4.2-management-alpine",
      "3", "3-management", "3-alpine", "3-management-alpine",
      "3.13", "3.13-management", "3.13-alpine", "3.13-management-alpine",
    ] : "${REPOSITORY}:${tag}"
  ]
}

target "distroless" {
  target    = "distroless"
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = [for tag in ["distroless", "4-distroless", "4.2-distroless"] : "${REPOSITORY}:${tag}"]
}
