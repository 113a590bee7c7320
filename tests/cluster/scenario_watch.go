// scenario_watch.go owns which scenario holds in which namespace: that of the
// ConfigMap sim-scenario there. A wrong one changes nothing and is marked with
// the annotation sim.cbctl.dev/error, which goes away once it is right.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	scenarioName = "sim-scenario"
	scenarioKey  = "scenario.yaml"
)

type scenarios struct {
	client  kubernetes.Interface
	changed func(namespace string) // the pods there must be looked at

	mu      sync.Mutex
	current map[string]*scenario
}

func newScenarios(client kubernetes.Interface, changed func(string)) *scenarios {
	return &scenarios{client: client, changed: changed, current: map[string]*scenario{}}
}

// of returns nil, which means the defaults, where there is none.
func (s *scenarios) of(namespace string) *scenario {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[namespace]
}

func (s *scenarios) put(namespace string, next *scenario) {
	s.mu.Lock()
	s.current[namespace] = next
	s.mu.Unlock()
	s.changed(namespace)
}

func (s *scenarios) handler(ctx context.Context) cache.ResourceEventHandler {
	follow := func(object any) { s.follow(ctx, object.(*v1.ConfigMap)) }
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    follow,
		UpdateFunc: func(_, object any) { follow(object) },
		DeleteFunc: func(object any) {
			if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
				namespace, _, _ := cache.SplitMetaNamespaceKey(key)
				s.put(namespace, nil)
			}
		},
	}
}

func (s *scenarios) follow(ctx context.Context, object *v1.ConfigMap) {
	text, found := object.Data[scenarioKey]
	parsed, err := parseScenario(text)
	if !found {
		err = errors.New("the key " + scenarioKey + " is missing")
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	switch {
	case problem == "":
		s.put(object.Namespace, parsed)
	case problem != object.Annotations[prefix+"error"]: // otherwise this is the answer to our own mark
		fmt.Fprintf(os.Stderr, "scenario in %s: %s; the one before still holds\n", object.Namespace, problem)
	}
	if err := s.mark(ctx, object, problem); err != nil && !apierrors.IsNotFound(err) {
		fmt.Fprintf(os.Stderr, "scenario in %s: %v\n", object.Namespace, err)
	}
}

func (s *scenarios) mark(ctx context.Context, object *v1.ConfigMap, problem string) error {
	if object.Annotations[prefix+"error"] == problem {
		return nil
	}
	value := &problem
	if problem == "" {
		value = nil // removes it
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]*string{prefix + "error": value}}})
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().ConfigMaps(object.Namespace).Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
