// division.go owns how the traffic that a scenario sends to a Service or an
// HTTPRoute is divided among pods. Pure.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// source is where the pods' requests come from, under the names in the file.
type source struct {
	RPS       *float64 `json:"rps"` // in all; not optional
	Service   string   `json:"service"`
	HTTPRoute string   `json:"httproute"`
}

// parseSource returns nil for a scenario without divided traffic.
func parseSource(text json.RawMessage) (*source, error) {
	if len(text) == 0 {
		return nil, nil
	}
	s := &source{}
	if err := strictly(text, s); err != nil {
		return nil, fmt.Errorf("traffic: %w", words(err, "httproute, rps, service"))
	}
	switch {
	case s.RPS == nil:
		return nil, errors.New("traffic: rps is missing")
	case *s.RPS < 0 || *s.RPS > 1e6:
		return nil, fmt.Errorf("traffic.rps: %g is not between 0 and 1000000", *s.RPS)
	case (s.Service == "") == (s.HTTPRoute == ""):
		return nil, errors.New("traffic: there must be either service or httproute")
	}
	return s, nil
}

// backend is a Service by name and its weight beside others.
type backend struct {
	service string
	weight  int64
}

// httpRoute is what of an HTTPRoute divides its traffic.
type httpRoute struct {
	Spec struct {
		Rules []struct {
			BackendRefs []struct {
				Group     string `json:"group"`
				Kind      string `json:"kind"`
				Namespace string `json:"namespace"`
				Name      string `json:"name"`
				Weight    *int64 `json:"weight"`
			} `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
}

// backends are those of the first rule. What is no Service of the route's
// namespace has a weight too, but no name under which a pod could be found.
func (r *httpRoute) backends(namespace string) []backend {
	if r == nil || len(r.Spec.Rules) == 0 {
		return nil
	}
	all := []backend{}
	for _, reference := range r.Spec.Rules[0].BackendRefs {
		b := backend{weight: 1}
		if reference.Weight != nil {
			b.weight = *reference.Weight
		}
		if reference.Group == "" && (reference.Kind == "" || reference.Kind == "Service") &&
			(reference.Namespace == "" || reference.Namespace == namespace) {
			b.service = reference.Name
		}
		all = append(all, b)
	}
	return all
}

// divide gives every backend its part by weight, and every pod of a backend an
// even part of that. A backend without pods loses its part: no other gets it.
// A pod of two backends gets a part of both.
func divide(rps float64, backends []backend, pods func(service string) []string) map[string]float64 {
	total := int64(0)
	for _, b := range backends {
		total += b.weight
	}
	parts := map[string]float64{}
	for _, b := range backends {
		if b.weight == 0 || b.service == "" {
			continue
		}
		found := pods(b.service)
		for _, pod := range found {
			parts[pod] += rps * float64(b.weight) / float64(total) / float64(len(found))
		}
	}
	return parts
}

// reachable are the names of the pods that a Service sends its traffic to. Like
// a real one, a Service without a selector finds none by itself.
func reachable(service *v1.Service, pods []*v1.Pod) []string {
	names := map[string]bool{}
	selector := labels.SelectorFromSet(service.Spec.Selector)
	for _, pod := range pods {
		if len(service.Spec.Selector) > 0 && selector.Matches(labels.Set(pod.Labels)) && takesTraffic(pod) {
			names[pod.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func takesTraffic(pod *v1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == v1.PodRunning &&
		slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool {
			return c.Type == v1.PodReady && c.Status == v1.ConditionTrue
		})
}
