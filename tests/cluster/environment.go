// environment.go owns the environment of a container: what the pod
// specification says when the container starts, with references to ConfigMaps
// resolved, and its own name and namespace. Other references stay unset.
package main

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// configMaps looks up the data of a ConfigMap; false means there is none.
type configMaps func(name string) (map[string]string, bool, error)

// objects asks the API server anew at each start, as a kubelet does.
func (k *kubelet) objects(ctx context.Context, namespace string) configMaps {
	return func(name string) (map[string]string, bool, error) {
		object, err := k.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
		if errors.IsNotFound(err) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		return object.Data, true, nil
	}
}

// resolveEnvironment follows the kubelet's order: envFrom first, then env, and
// the later one wins.
func resolveEnvironment(container *v1.Container, pod *v1.Pod, lookup configMaps) (map[string]string, error) {
	environment := map[string]string{}
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		data, found, err := lookup(from.ConfigMapRef.Name)
		if err != nil {
			return nil, err
		}
		if !found && !isTrue(from.ConfigMapRef.Optional) {
			return nil, fmt.Errorf("configmap %q not found", from.ConfigMapRef.Name)
		}
		for key, value := range data {
			environment[from.Prefix+key] = value
		}
	}
	for _, entry := range container.Env {
		value, set, err := resolveEntry(entry, pod, environment, lookup)
		if err != nil {
			return nil, err
		}
		if set {
			environment[entry.Name] = value
		}
	}
	return environment, nil
}

func resolveEntry(entry v1.EnvVar, pod *v1.Pod, before map[string]string, lookup configMaps) (string, bool, error) {
	if entry.ValueFrom == nil {
		return expansion.Expand(entry.Value, expansion.MappingFuncFor(before)), true, nil
	}
	if field := entry.ValueFrom.FieldRef; field != nil {
		switch field.FieldPath {
		case "metadata.name":
			return pod.Name, true, nil
		case "metadata.namespace":
			return pod.Namespace, true, nil
		}
		return "", false, nil
	}
	reference := entry.ValueFrom.ConfigMapKeyRef
	if reference == nil {
		return "", false, nil
	}
	data, found, err := lookup(reference.Name)
	if err != nil {
		return "", false, err
	}
	value, has := data[reference.Key]
	switch {
	case has:
		return value, true, nil
	case isTrue(reference.Optional):
		return "", false, nil
	case !found:
		return "", false, fmt.Errorf("configmap %q not found", reference.Name)
	}
	return "", false, fmt.Errorf("couldn't find key %s in ConfigMap %s/%s", reference.Key, pod.Namespace, reference.Name)
}

func isTrue(value *bool) bool { return value != nil && *value }
