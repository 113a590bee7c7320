// options.go owns what start and the supervisor have in common: the flags that
// describe a cluster and the names of the files in its state directory.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Files in the state directory.
const (
	readyFile   = "cluster.json" // exists exactly while the cluster is usable
	failureFile = "failure"      // why the supervisor gave up, in words
	supervisor  = "supervisor"
)

// options describe one cluster; zero ports and net mean "any free one".
type options struct {
	name           string
	dir            string
	port           int
	prometheusPort int
	net            int
	prometheus     string
	definitions    string
}

// ready is what the supervisor tells about a usable cluster.
type ready struct {
	PID            int `json:"pid"`
	Port           int `json:"port"`
	PrometheusPort int `json:"prometheus_port"`
	Net            int `json:"net"`
}

func (o *options) register(flags *flag.FlagSet) {
	flags.StringVar(&o.name, "name", "default", "name of the cluster; clusters with different names run side by side")
	flags.StringVar(&o.dir, "dir", "", "state directory of this cluster")
	flags.IntVar(&o.port, "port", 0, "port of the API server (0: any free one)")
	flags.IntVar(&o.prometheusPort, "prometheus-port", 0, "port of Prometheus (0: any free one)")
	flags.IntVar(&o.net, "net", 0, "pods report 10.NET.x.y and listen on 127.NET.x.y (0: any free one)")
	flags.StringVar(&o.prometheus, "prometheus", "", "the Prometheus program")
	flags.StringVar(&o.definitions, "definitions", "", "the custom resource definitions to install")
}

// arguments is the inverse of register.
func (o *options) arguments() []string {
	return []string{
		"--name=" + o.name, "--dir=" + o.dir, "--prometheus=" + o.prometheus, "--definitions=" + o.definitions,
		"--port=" + strconv.Itoa(o.port), "--prometheus-port=" + strconv.Itoa(o.prometheusPort), "--net=" + strconv.Itoa(o.net),
	}
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

func (o *options) check() error {
	switch {
	case !validName.MatchString(o.name):
		return fmt.Errorf("--name %q: use lower case letters, digits and dashes", o.name)
	case !filepath.IsAbs(o.dir):
		return fmt.Errorf("--dir %q: must be an absolute path", o.dir)
	case o.net < 0 || o.net > maxNet:
		return fmt.Errorf("--net %d: must be between 1 and %d", o.net, maxNet)
	}
	return nil
}

func (o *options) path(elements ...string) string {
	return filepath.Join(append([]string{o.dir}, elements...)...)
}

func (o *options) readReady() (*ready, error) {
	text, err := os.ReadFile(o.path(readyFile))
	if err != nil {
		return nil, err
	}
	r := &ready{}
	return r, json.Unmarshal(text, r)
}

// writeReady writes and renames, so that nobody reads half of it.
func (o *options) writeReady(r *ready) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	temporary := o.path(readyFile + ".new")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, o.path(readyFile))
}
