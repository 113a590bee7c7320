// division_test.go tests who gets how much of the traffic.
package main

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func podsIn(services map[string][]string) func(string) []string {
	return func(service string) []string { return services[service] }
}

func TestTrafficIsDividedByWeightAndEvenly(t *testing.T) {
	pods := podsIn(map[string][]string{"stable": {"s1", "s2", "s3"}, "canary": {"c1"}, "both": {"s1", "c1"}})
	for _, c := range []struct {
		name     string
		backends []backend
		want     map[string]float64
	}{
		{"one Service", []backend{{"stable", 1}}, map[string]float64{"s1": 100, "s2": 100, "s3": 100}},
		{"weights", []backend{{"stable", 90}, {"canary", 10}}, map[string]float64{"s1": 90, "s2": 90, "s3": 90, "c1": 30}},
		{"weights of any sum", []backend{{"stable", 1}, {"canary", 2}}, map[string]float64{"s1": 100. / 3, "s2": 100. / 3, "s3": 100. / 3, "c1": 200}},
		{"no weight gets nothing", []backend{{"stable", 0}, {"canary", 5}}, map[string]float64{"c1": 300}},
		{"no weight at all", []backend{{"stable", 0}}, map[string]float64{}},
		{"no pods lose their part", []backend{{"stable", 50}, {"gone", 50}}, map[string]float64{"s1": 50, "s2": 50, "s3": 50}},
		{"no Service loses its part", []backend{{"canary", 1}, {"", 2}}, map[string]float64{"c1": 100}},
		{"a pod of two", []backend{{"canary", 1}, {"both", 2}}, map[string]float64{"c1": 200, "s1": 100}},
		{"nothing", nil, map[string]float64{}},
	} {
		got := divide(300, c.backends, pods)
		if !maps.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDividedTrafficIsExactInTheLongRun(t *testing.T) {
	pods := []string{"s1", "s2", "s3", "c1"}
	weights, counted := []int64{1, 5, 25, 50, 100}, map[string]*traffic{}
	for _, pod := range pods {
		counted[pod] = newTraffic(seedOf(pod), nil, epoch)
	}
	wanted := 0.0
	for _, weight := range weights {
		parts := divide(300, []backend{{"stable", 100 - weight}, {"canary", weight}},
			podsIn(map[string][]string{"stable": pods[:3], "canary": pods[3:]}))
		for _, pod := range pods {
			b := defaultBehaviour()
			b.RPS = parts[pod]
			run(counted[pod], b, 100*time.Second, 125*time.Millisecond, nil)
		}
		wanted += 300 * float64(weight)
	}
	total := uint64(0)
	for _, pod := range pods {
		total += counted[pod].ok.count
	}
	if math.Abs(float64(total)-150_000) > 4 || math.Abs(float64(counted["c1"].ok.count)-wanted) > 1 {
		t.Errorf("the canary has %d of %d requests, not %.0f of 150000", counted["c1"].ok.count, total, wanted)
	}
}

func TestBackendsAreThoseOfTheFirstRule(t *testing.T) {
	route := &httpRoute{}
	err := json.Unmarshal([]byte(`{"spec": {"rules": [{"backendRefs": [
		{"group": "", "kind": "Service", "name": "a", "weight": 90}, {"name": "b"}, {"name": "c", "weight": 0},
		{"name": "d", "namespace": "shop"}, {"name": "e", "namespace": "elsewhere"}, {"name": "f", "kind": "Bucket", "group": "cloud"}
	]}, {"backendRefs": [{"name": "g"}]}]}}`), route)
	want := []backend{{"a", 90}, {"b", 1}, {"c", 0}, {"d", 1}, {"", 1}, {"", 1}}
	if got := route.backends("shop"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	var none *httpRoute
	if got := none.backends("shop"); got != nil {
		t.Errorf("got %v where there is no route", got)
	}
}

func TestServicesReachReadyPodsOnly(t *testing.T) {
	pod := func(name string, ready v1.ConditionStatus, change func(*v1.Pod)) *v1.Pod {
		p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "storefront"}},
			Status: v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: ready}}}}
		if change != nil {
			change(p)
		}
		return p
	}
	pods := []*v1.Pod{
		pod("ready", v1.ConditionTrue, nil),
		pod("not-ready", v1.ConditionFalse, nil),
		pod("another", v1.ConditionTrue, func(p *v1.Pod) { p.Labels["app"] = "cart" }),
		pod("terminating", v1.ConditionTrue, func(p *v1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: epoch} }),
		pod("ended", v1.ConditionTrue, func(p *v1.Pod) { p.Status.Phase = v1.PodFailed }),
		pod("also-ready", v1.ConditionTrue, nil),
	}
	service := &v1.Service{Spec: v1.ServiceSpec{Selector: map[string]string{"app": "storefront"}}}
	if got := reachable(service, pods); !slices.Equal(got, []string{"also-ready", "ready"}) {
		t.Errorf("got %v", got)
	}
	if got := reachable(&v1.Service{}, pods); len(got) > 0 {
		t.Errorf("got %v without a selector", got)
	}
}
