// definitions.go owns the custom resource definitions that every cluster has
// from its start: choosing them out of the files in which their projects
// publish them, which happens when the program is built, and installing them.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	kubernetesyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// wantedDefinitions is what divides traffic, beside the Ingress that is built in.
var wantedDefinitions = []string{"httproutes.gateway.networking.k8s.io", "traefikservices.traefik.io", "virtualservices.networking.istio.io"}

// definition is as much of one as this program has to know.
type definition struct {
	name  string
	paths []string // where the API server serves it
	text  json.RawMessage
}

// runDefinitions prints the wanted definitions of the files as a list in JSON.
func runDefinitions(files []string) error {
	found := map[string]json.RawMessage{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := chooseDefinitions(text, found); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	chosen := []json.RawMessage{}
	for _, name := range wantedDefinitions {
		if found[name] == nil {
			return fmt.Errorf("%s is in none of %s", name, strings.Join(files, ", "))
		}
		chosen = append(chosen, found[name])
	}
	return json.NewEncoder(os.Stdout).Encode(chosen)
}

// chooseDefinitions puts what is wanted of the documents of one file into found.
func chooseDefinitions(text []byte, found map[string]json.RawMessage) error {
	documents := kubernetesyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		converted, err := yaml.YAMLToJSON(document)
		if err != nil {
			return err
		}
		d, err := readDefinition(converted)
		if err != nil {
			return err
		}
		if slices.Contains(wantedDefinitions, d.name) {
			found[d.name] = converted
		}
	}
}

// readDefinition leaves the name empty of what is no definition.
func readDefinition(text json.RawMessage) (definition, error) {
	written := struct {
		Kind     string                `json:"kind"`
		Metadata struct{ Name string } `json:"metadata"`
		Spec     struct {
			Group    string
			Names    struct{ Plural string }
			Versions []struct {
				Name   string
				Served bool
			}
		} `json:"spec"`
	}{}
	if err := json.Unmarshal(text, &written); err != nil {
		return definition{}, err
	}
	d := definition{text: text}
	if written.Kind != "CustomResourceDefinition" {
		return d, nil
	}
	d.name = written.Metadata.Name
	for _, version := range written.Spec.Versions {
		if version.Served {
			d.paths = append(d.paths, "/apis/"+written.Spec.Group+"/"+version.Name+"/"+written.Spec.Names.Plural)
		}
	}
	return d, nil
}

// readDefinitions reads what runDefinitions printed.
func readDefinitions(path string) ([]definition, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list := []json.RawMessage{}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	all := []definition{}
	for _, one := range list {
		d, err := readDefinition(one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// install creates a definition. The API server serves it somewhat later, at its paths.
func (d definition) install(p *probe, api string) error {
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	if err := p.create(api+path, d.text); err != nil {
		return fmt.Errorf("install %s: %w", d.name, err)
	}
	return nil
}
