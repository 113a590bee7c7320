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
type scenario struct {
	traffic *source // nil: every pod has requests of its own
	rules   []rule
}

type rule struct {
	environment map[string]*string // nil value: the variable must not be set
	pod         *regexp.Regexp     // nil: every pod
	set         json.RawMessage
}

// The file as it is written.
type scenarioFile struct {
	Traffic json.RawMessage `json:"traffic"`
	Rules   []struct {
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
		return nil, words(err, "")
	}
	file := scenarioFile{}
	if err := strictly(converted, &file); err != nil {
		return nil, words(err, "rules, when, env, pod, set, traffic")
	}
	s := &scenario{}
	if s.traffic, err = parseSource(file.Traffic); err != nil {
		return nil, err
	}
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
		if err := r.try(); err != nil {
			return nil, fmt.Errorf("%s.set.%w", where, err)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

func (s *scenario) source() *source {
	if s == nil {
		return nil
	}
	return s.traffic
}

// behaviourOf cannot fail, because every rule was tried when it was read, and
// what one rule sets is valid whatever the others set. Part is what the pod gets
// of the traffic, if the scenario divides it.
func (s *scenario) behaviourOf(pod string, environment map[string]string, part float64) behaviour {
	b := defaultBehaviour()
	if s == nil {
		return b
	}
	if s.traffic != nil {
		b.RPS = part
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

// try applies the fields one by one, because the decoder's errors do not always
// name the field.
func (r *rule) try() error {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(r.set, &fields); err != nil {
		return words(err, "")
	}
	tried := defaultBehaviour()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		alone, err := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if err != nil {
			return err
		}
		if err := strictly(alone, &tried); err != nil {
			return fmt.Errorf("%s: %w", name, words(err, settable()))
		}
	}
	return tried.check()
}

func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// words turns a decoder's error into one about the file. Known lists what could
// have been written instead of an unknown field.
func words(err error, known string) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text := fmt.Sprintf("%s: cannot be a %s", wrong.Field, wrong.Value)
		if wrong.Type.String() == "string" {
			text += `; quote it, as in "true"`
		}
		return errors.New(text)
	}
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "json: "), "\n", "")
	if strings.HasPrefix(text, "unknown field") {
		text += "; there are: " + known
	}
	return errors.New(text)
}

// settable lists what can be set, from the type itself.
func settable() string {
	encoded, _ := json.Marshal(defaultBehaviour())
	names := map[string]bool{}
	collect(encoded, names)
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

func collect(object json.RawMessage, names map[string]bool) {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(object, &fields) != nil {
		return
	}
	for name, value := range fields {
		names[name] = true
		collect(value, names)
	}
}
