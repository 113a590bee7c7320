// The modules out of which the test cluster takes custom resource definitions. They are
// files to be read, not packages: so they stand apart from the module around this folder,
// whose versions they must not touch, and `go mod tidy` would remove them. For another
// version, edit it here and run: go mod download MODULE
module testcluster/definitions

go 1.26.0

require (
	github.com/traefik/traefik/v3 v3.7.13
	istio.io/api v1.32.0
	sigs.k8s.io/gateway-api v1.6.3
)
