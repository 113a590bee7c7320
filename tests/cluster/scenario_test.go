// scenario_test.go tests what a scenario says and what it refuses.
package main

import (
	"strings"
	"testing"
	"time"
)

const example = `
rules:
- set: {rps: 50, error_rate: 1%, breakers: {cache: {state: open, open_for: 7s}}}
- when: {env: {CB_CACHE_ENABLED: "true"}}
  set: {error_rate: 0.05, latency: 600ms}
- when: {pod: updog-abc-.*, env: {CANARY: null}}
  set: {breakers: {cache: {state: flicker}}, metrics: 500}
`

func mustParse(t *testing.T, text string) *scenario {
	t.Helper()
	s, err := parseScenario(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLaterRulesOverrideFieldByField(t *testing.T) {
	s := mustParse(t, example)
	b := s.behaviourOf("updog-abc-1", map[string]string{"CB_CACHE_ENABLED": "true"}, 0)
	if b.RPS != 50 || b.ErrorRate != 0.05 || b.Latency != duration(600*time.Millisecond) || b.Metrics != metricsFail {
		t.Errorf("got %+v", b)
	}
	if b.Breakers.Cache.State != "flicker" || b.Breakers.Cache.OpenFor != duration(7*time.Second) {
		t.Errorf("a nested field was lost: %+v", b.Breakers.Cache)
	}
	if b.Memory != 200<<20 || !b.Ready {
		t.Errorf("a default was lost: %+v", b)
	}
}

func TestRulesMatchNameAndEnvironment(t *testing.T) {
	s := mustParse(t, example)
	for _, c := range []struct {
		name, pod   string
		environment map[string]string
		errors      share
		state       string
	}{
		{"neither", "updog-xyz-1", nil, 0.01, "open"},
		{"environment", "updog-xyz-1", map[string]string{"CB_CACHE_ENABLED": "true"}, 0.05, "open"},
		{"another value", "updog-xyz-1", map[string]string{"CB_CACHE_ENABLED": "false"}, 0.01, "open"},
		{"name", "updog-abc-1", nil, 0.01, "flicker"},
		{"the name is anchored", "my-updog-abc-1", nil, 0.01, "open"},
		{"a variable that must not be set", "updog-abc-1", map[string]string{"CANARY": ""}, 0.01, "open"},
	} {
		b := s.behaviourOf(c.pod, c.environment, 0)
		if b.ErrorRate != c.errors || b.Breakers.Cache.State != c.state {
			t.Errorf("%s: got %v and %q", c.name, b.ErrorRate, b.Breakers.Cache.State)
		}
	}
}

func TestNoScenarioMeansTheDefaults(t *testing.T) {
	var none *scenario
	if got := none.behaviourOf("updog-1", nil, 0); got != defaultBehaviour() {
		t.Errorf("got %+v", got)
	}
	if got := mustParse(t, "rules: []").behaviourOf("updog-1", nil, 0); got != defaultBehaviour() {
		t.Errorf("got %+v", got)
	}
}

func TestWrongScenariosNameTheMistake(t *testing.T) {
	for text, want := range map[string]string{
		`rule: []`:                       `unknown field "rule"; there are: rules`,
		`rules: [{set: {latncy: 20ms}}]`: `rules[0].set.latncy: unknown field "latncy"; there are: breakers`,
		`rules: [{set: {rps: 1}}, {set: {latency: 20}}]`:   `rules[1].set.latency: "20" is not a duration`,
		`rules: [{set: {error_rate: 5}}]`:                  `rules[0].set.error_rate: "5" is not a share`,
		`rules: [{set: {error_rate: -1%}}]`:                `is not a share`,
		`rules: [{set: {error_rate: NaN}}]`:                `is not a share`,
		`rules: [{set: {memory: much}}]`:                   `rules[0].set.memory: "much" is not a size`,
		`rules: [{set: {rps: -1}}]`:                        `rules[0].set.rps: -1 is not between`,
		`rules: [{set: {spread: 0.5}}]`:                    `rules[0].set.spread: 0.5 is below 1`,
		`rules: [{set: {burst: 0}}]`:                       `rules[0].set.burst: 0 is below 1`,
		`rules: [{set: {metrics: gone}}]`:                  `"gone" is none of ok, missing, 500, hang`,
		`rules: [{set: {breakers: {cache: {state: up}}}}]`: `breakers.cache.state: "up" is none of`,
		`rules: [{set: {breakers: {cach: {}}}}]`:           `unknown field "cach"; there are: breakers, burst, cache`,
		`rules: [{when: {env: {A: true}}, set: {}}]`:       `cannot be a bool; quote it`,
		`rules: [{when: {pod: "("}, set: {rps: 1}}]`:       `rules[0].when.pod: error parsing regexp`,
		`rules: [{when: {pod: a}}]`:                        `rules[0]: it sets nothing`,
		"rules: [{set: {rps: 1, rps: 2}}]":                 `already set in map`,
		`rules: [`:                                         `line 1`,
		`traffic: {rps: 1, servce: a}`:                     `traffic: unknown field "servce"; there are: httproute, rps, service`,
		`traffic: {rps: 1, service: a, httproute: b}`:      `traffic: there must be either service or httproute`,
		`traffic: {rps: 1}`:                                `traffic: there must be either service or httproute`,
		`traffic: {service: a}`:                            `traffic: rps is missing`,
		`traffic: `:                                        `traffic: rps is missing`,
		`traffic: {rps: -1, service: a}`:                   `traffic.rps: -1 is not between`,
		`traffic: {rps: many, service: a}`:                 `traffic: rps: cannot be a string`,
	} {
		_, err := parseScenario(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestDividedTrafficYieldsToARule(t *testing.T) {
	s := mustParse(t, `
traffic: {rps: 300, service: storefront}
rules:
- when: {pod: load-.*}
  set: {rps: 7}
`)
	if got := s.behaviourOf("storefront-1", nil, 42.5).RPS; got != 42.5 {
		t.Errorf("got %g, not its part", got)
	}
	if got := s.behaviourOf("load-1", nil, 42.5).RPS; got != 7 {
		t.Errorf("got %g, not what the rule says", got)
	}
	if got := mustParse(t, "rules: []").behaviourOf("storefront-1", nil, 42.5).RPS; got != 100 {
		t.Errorf("got %g where nothing is divided", got)
	}
}
