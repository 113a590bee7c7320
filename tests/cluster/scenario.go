// scenario.go owns the scenario file: reading it strictly, and saying how a
// pod with a given name and environment behaves under it. Pure.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// scenario is a list of rules, of which later ones override earlier ones, field
// by field. A nil scenario has no rules.
type scenario struct{ rules []rule }

type rule struct {
	environment map[string]*string // nil value: the variable must not be set
	pod         *regexp.Regexp     // nil: every pod
	set         json.RawMessage
}

// The file as it is written.
type scenarioFile struct {
	Rules []struct {
		When struct {
			Env map[string]*string `json:"env"`
			Pod string             `json:"pod"`
		} `json:"when"`
		Set json.RawMessage `json:"set"`
	} `json:"rules"`
}

func parseScenario(text string) (*scenario, error) {
	converted, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, words(err)
	}
	file := scenarioFile{}
	if err := strictly(converted, &file); err != nil {
		return nil, words(err)
	}
	s := &scenario{}
	for number, written := range file.Rules {
		where := fmt.Sprintf("rules[%d]", number)
		r := rule{environment: written.When.Env, set: written.Set}
		if written.When.Pod != "" {
			if r.pod, err = regexp.Compile("^(?:" + written.When.Pod + ")$"); err != nil {
				return nil, fmt.Errorf("%s.when.pod: %w", where, err)
			}
		}
		if len(r.set) == 0 || string(r.set) == "null" {
			return nil, fmt.Errorf("%s: it sets nothing", where)
		}
		tried := defaultBehaviour()
		if err := r.apply(&tried); err != nil {
			return nil, fmt.Errorf("%s.set: %w", where, words(err))
		}
		if err := tried.check(); err != nil {
			return nil, fmt.Errorf("%s.set: %w", where, err)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

// behaviourOf cannot fail, because every rule was tried when it was read, and
// what one rule sets is valid whatever the others set.
func (s *scenario) behaviourOf(pod string, environment map[string]string) behaviour {
	b := defaultBehaviour()
	if s == nil {
		return b
	}
	for _, r := range s.rules {
		if r.matches(pod, environment) {
			_ = r.apply(&b)
		}
	}
	return b
}

func (r *rule) matches(pod string, environment map[string]string) bool {
	if r.pod != nil && !r.pod.MatchString(pod) {
		return false
	}
	for name, wanted := range r.environment {
		value, set := environment[name]
		if set != (wanted != nil) || set && value != *wanted {
			return false
		}
	}
	return true
}

// apply decodes over what is there, which leaves alone what the rule is silent
// about.
func (r *rule) apply(b *behaviour) error { return strictly(r.set, b) }

func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// words turns a decoder's error into one about the file.
func words(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text := fmt.Sprintf("%s: cannot be a %s", wrong.Field, wrong.Value)
		if wrong.Type.String() == "string" {
			text += `; quote it, as in "true"`
		}
		return errors.New(text)
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if strings.HasPrefix(text, "unknown field") {
		text += "; there are: " + strings.Join(fieldNames(), ", ")
	}
	return errors.New(text)
}

// fieldNames lists what can be set, from the type itself.
func fieldNames() []string {
	encoded, _ := json.Marshal(defaultBehaviour())
	fields := map[string]json.RawMessage{}
	_ = json.Unmarshal(encoded, &fields)
	return slices.Sorted(maps.Keys(fields))
}
