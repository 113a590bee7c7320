// environment_test.go tests how a container's environment is put together.
package main

import (
	"maps"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func lookupIn(objects map[string]map[string]string) configMaps {
	return func(name string) (map[string]string, bool, error) {
		data, found := objects[name]
		return data, found, nil
	}
}

func reference(name, key string, optional bool) *v1.EnvVarSource {
	return &v1.EnvVarSource{ConfigMapKeyRef: &v1.ConfigMapKeySelector{
		LocalObjectReference: v1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
}

func TestEnvironment(t *testing.T) {
	container := &v1.Container{
		EnvFrom: []v1.EnvFromSource{{Prefix: "P_", ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "flags"}}}},
		Env: []v1.EnvVar{
			{Name: "LITERAL", Value: "a"},
			{Name: "P_OVER", Value: "later wins"},
			{Name: "EXPANDED", Value: "$(LITERAL)b"},
			{Name: "REFERENCE", ValueFrom: reference("flags", "ON", false)},
			{Name: "OPTIONAL", ValueFrom: reference("nowhere", "ON", true)},
			{Name: "ME", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		},
	}
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "updog-1", Namespace: "shop"}}
	got, err := resolveEnvironment(container, pod, lookupIn(map[string]map[string]string{"flags": {"ON": "true", "OVER": "x"}}))
	want := map[string]string{"LITERAL": "a", "EXPANDED": "ab", "REFERENCE": "true", "P_ON": "true", "P_OVER": "later wins", "ME": "updog-1"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestMissingReferencesKeepTheContainerFromStarting(t *testing.T) {
	for want, entry := range map[string]v1.EnvVar{
		`configmap "nowhere" not found`: {Name: "A", ValueFrom: reference("nowhere", "ON", false)},
		"couldn't find key OFF":         {Name: "A", ValueFrom: reference("flags", "OFF", false)},
	} {
		_, err := resolveEnvironment(&v1.Container{Env: []v1.EnvVar{entry}}, &v1.Pod{}, lookupIn(map[string]map[string]string{"flags": {"ON": "true"}}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
