// definitions_test.go tests the choice among published definitions.
package main

import (
	"encoding/json"
	"slices"
	"testing"
)

const published = `# a comment first
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways.networking.istio.io}
spec: {group: networking.istio.io, names: {plural: gateways}, versions: [{name: v1, served: true}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: virtualservices.networking.istio.io}
spec:
  group: networking.istio.io
  names: {plural: virtualservices}
  versions: [{name: v1, served: true}, {name: v1alpha3, served: false}, {name: v1beta1, served: true}]
---
kind: Service
metadata: {name: traefikservices.traefik.io}
`

func TestWantedDefinitionsAreChosen(t *testing.T) {
	found := map[string]json.RawMessage{}
	if err := chooseDefinitions([]byte(published), found); err != nil {
		t.Fatal(err)
	}
	text := found["virtualservices.networking.istio.io"]
	if len(found) != 1 || text == nil {
		t.Fatalf("got %d: %s", len(found), found)
	}
	d, err := readDefinition(text)
	want := []string{"/apis/networking.istio.io/v1/virtualservices", "/apis/networking.istio.io/v1beta1/virtualservices"}
	if err != nil || !slices.Equal(d.paths, want) {
		t.Errorf("got %v, %v", d.paths, err)
	}
}
