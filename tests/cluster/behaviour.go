// behaviour.go owns what can be set about a simulated pod, the defaults, and
// the notations: shares like "5%", durations like "20ms", sizes like "200Mi".
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// behaviour is everything that a scenario can set, under its name in the file.
type behaviour struct {
	RPS         float64     `json:"rps"` // of each pod, unless the scenario divides its traffic
	Latency     duration    `json:"latency"`
	Spread      float64     `json:"spread"`
	SlowShare   share       `json:"slow_share"`
	SlowLatency duration    `json:"slow_latency"`
	ErrorRate   share       `json:"error_rate"`
	Burst       int         `json:"burst"`
	Memory      size        `json:"memory"`
	Leak        size        `json:"leak"` // a minute
	Breakers    breakerSet  `json:"breakers"`
	Metrics     metricsMode `json:"metrics"`
	Ready       bool        `json:"ready"`
}

type breakerSet struct {
	Cache breakerSettings `json:"cache"`
	HTTP  breakerSettings `json:"http"`
	DB    breakerSettings `json:"db"`
}

// of follows the order of breakerKinds.
func (s breakerSet) of(i int) breakerSettings {
	return [breakerCount]breakerSettings{s.Cache, s.HTTP, s.DB}[i]
}

type breakerSettings struct {
	State       string   `json:"state"` // empty: as its environment makes it behave
	FailureRate share    `json:"failure_rate"`
	Requests    *float64 `json:"requests"` // a second; nil: as many as the pod has
	OpenFor     duration `json:"open_for"`
	HalfOpenFor duration `json:"half_open_for"`
	ClosedFor   duration `json:"closed_for"`
}

func defaultBehaviour() behaviour {
	return behaviour{RPS: 100, Latency: duration(20 * time.Millisecond), Spread: 2, SlowLatency: duration(time.Second),
		Burst: 1, Memory: 200 << 20, Metrics: metricsOK, Ready: true}
}

func (b behaviour) check() error {
	switch {
	case b.RPS < 0 || b.RPS > 1e6:
		return fmt.Errorf("rps: %g is not between 0 and 1000000", b.RPS)
	case b.Spread < 1:
		return fmt.Errorf("spread: %g is below 1; it is the 95th percentile divided by the median", b.Spread)
	case b.Burst < 1:
		return fmt.Errorf("burst: %d is below 1", b.Burst)
	}
	for i, name := range []string{"cache", "http", "db"} {
		settings := b.Breakers.of(i)
		if !slices.Contains([]string{"", "closed", "open", "half_open", "flicker"}, settings.State) {
			return fmt.Errorf("breakers.%s.state: %q is none of closed, open, half_open, flicker", name, settings.State)
		}
		if settings.Requests != nil && *settings.Requests < 0 {
			return fmt.Errorf("breakers.%s.requests: %g is below 0", name, *settings.Requests)
		}
	}
	return nil
}

// share is written "5%" or 0.05.
type share float64

func (s *share) UnmarshalJSON(text []byte) error {
	written := unquote(text)
	number, percent := strings.CutSuffix(strings.TrimSpace(written), "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		value /= 100
	}
	if err != nil || !(value >= 0 && value <= 1) {
		return fmt.Errorf("%q is not a share; write 5%% or 0.05", written)
	}
	*s = share(value)
	return nil
}

// duration is written 20ms, 3s or 5m.
type duration time.Duration

func (d duration) seconds() float64 { return time.Duration(d).Seconds() }

func (d *duration) UnmarshalJSON(text []byte) error {
	written := unquote(text)
	value, err := time.ParseDuration(written)
	if err != nil || value < 0 {
		return fmt.Errorf("%q is not a duration; write 20ms, 3s or 5m", written)
	}
	*d = duration(value)
	return nil
}

// size is in bytes, and written 200Mi.
type size float64

func (s *size) UnmarshalJSON(text []byte) error {
	written := unquote(text)
	value, err := resource.ParseQuantity(written)
	if err != nil {
		return fmt.Errorf("%q is not a size; write 200Mi", written)
	}
	*s = size(value.AsApproximateFloat64())
	return nil
}

// metricsMode is how /metrics answers. One of the words is a number in YAML.
type metricsMode string

const (
	metricsOK      metricsMode = "ok"
	metricsMissing metricsMode = "missing"
	metricsFail    metricsMode = "500"
	metricsHang    metricsMode = "hang"
)

func (m *metricsMode) UnmarshalJSON(text []byte) error {
	written := metricsMode(unquote(text))
	if !slices.Contains([]metricsMode{metricsOK, metricsMissing, metricsFail, metricsHang}, written) {
		return errors.New("metrics: " + strconv.Quote(string(written)) + " is none of ok, missing, 500, hang")
	}
	*m = written
	return nil
}

// unquote returns a JSON string's content, and any other value as it is written.
func unquote(text []byte) string {
	content := ""
	if json.Unmarshal(text, &content) == nil {
		return content
	}
	return string(text)
}
