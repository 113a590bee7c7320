// bench measures cbctl beside curl, kubectl and Prometheus itself, in one run on one machine: see tests/bench/run.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const rounds = 22

var (
	binary     = os.Getenv("BENCH_CBCTL")
	kubectl    = os.Getenv("BENCH_KUBECTL")
	directory  = os.Getenv("BENCH_DIR")
	prometheus = os.Getenv("BENCH_PROMETHEUS")
	busy       = os.Getenv("BENCH_BUSY")
	idle       = os.Getenv("BENCH_IDLE")
	crowd      = os.Getenv("BENCH_CROWD")
	many       = os.Getenv("BENCH_MANY")
	files      = os.Getenv("BENCH_FILES")
	server     = os.Getenv("BENCH_SERVER")
)

func main() {
	size := must(os.Stat(binary)).Size()
	fmt.Println("start")
	version := &subject{name: "cbctl --version", make: cbctl(idle, "examples/quick", "--version")}
	completions := &subject{name: "cbctl completions bash", make: cbctl(idle, "examples/quick", "completions", "bash")}
	must(0, measure(rounds, version, completions))
	version.print()
	completions.print()
	judge("cbctl --version", ms(version.time()), 5, " ms")
	judge("cbctl completions bash", ms(completions.time()), 5, " ms")
	judge("their memory", mib(max(median(version.rss), median(completions.rss))), 10, " MiB")
	judge("release binary", float64(size)/(1<<20), 10, " MiB")

	fmt.Println("emergency rollback, one patch")
	emergency := &subject{name: "cbctl rollback --emergency --no-wait", make: cbctl(idle, "examples/quick", "rollback", "--emergency", "--no-wait")}
	samePatch := &subject{name: "curl, the same patch, new TLS connection", make: func(round int) *exec.Cmd { return curlPatch(idle, round) }}
	setEnv := &subject{name: "kubectl set env", make: func(round int) *exec.Cmd {
		return exec.Command(kubectl, "--kubeconfig", directory+"/kubeconfig", "-n", idle, "set", "env",
			"deployment/updog", flagsOff("CB_CACHE_ENABLED", round), flagsOff("CB_HTTP_ENABLED", round), flagsOff("CB_DB_ENABLED", round))
	}}
	must(0, measure(rounds, emergency, samePatch, setEnv))
	emergency.print()
	samePatch.print()
	setEnv.print()
	judge("against curl", ratio(emergency, samePatch), 1.3, "x")
	judge("against kubectl set env", ratio(emergency, setEnv), 0.2, "x")

	emergencyInACrowd()
	emergencyOfMany(500)

	fmt.Println("check of the cache phase")
	check := &subject{name: "cbctl check cache", make: cbctl(busy, "phases", "check", "cache"), ok: []int{3, 4}}
	reads := &subject{name: "curl, the deployment and its pods", make: curlReads}
	must(0, measure(rounds, check, reads))
	check.print()
	reads.print()
	slowest, name := slowestQuery()
	fmt.Printf("  %-44s %8.1f ms   %s\n", "slowest query alone, new connection", ms(slowest), name)
	judge("against the slowest query", float64(check.time())/float64(slowest), 2, "x")
	// No check can do without these two reads; next to small queries they are most of it.
	judge("against the reads and the slowest query", float64(check.time())/float64(reads.time()+slowest), 2, "x")
	judge("memory of a check", mib(median(check.rss)), 40, " MiB")
}

func cbctl(namespace, phases string, arguments ...string) func(int) *exec.Cmd {
	phases = filepath.Join(files, phases)
	arguments = append([]string{"--files", phases, "--namespace", namespace, "--prometheus", prometheus}, arguments...)
	return func(int) *exec.Cmd { return cbctlWith(arguments...) }
}

func cbctlWith(arguments ...string) *exec.Cmd {
	command := exec.Command(binary, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+directory+"/kubeconfig")
	return command
}

var flags = []string{"CB_CACHE_ENABLED", "CB_DB_ENABLED", "CB_HTTP_ENABLED"}

// flagsOff changes in every round, or kubectl would find nothing to do.
func flagsOff(flag string, round int) string {
	return flag + "=" + []string{"false", "off"}[round%2]
}

func curlPatch(namespace string, round int) *exec.Cmd {
	return curl(append(patchOptions(round), patchURL(namespace, "updog"))...)
}

func patchURL(namespace, deployment string) string {
	return server + "/apis/apps/v1/namespaces/" + namespace + "/deployments/" + deployment + "?fieldManager=curl"
}

// patchOptions make curl send the patch that cbctl sends.
func patchOptions(round int) []string {
	env := []map[string]any{}
	for _, flag := range flags {
		env = append(env, map[string]any{"name": flag, "value": "false", "valueFrom": nil})
	}
	patch := must(json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{"cbctl.dev/emergency": strconv.Itoa(round)}},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"name": "updog", "env": env}}}}},
	}))
	return []string{"--request", "PATCH", "--header", "Content-Type: application/strategic-merge-patch+json", "--data", string(patch)}
}

// curlReads reads both over one connection, as a check does.
func curlReads(int) *exec.Cmd {
	return curl(server+"/apis/apps/v1/namespaces/"+busy+"/deployments/updog",
		"--output", os.DevNull, server+"/api/v1/namespaces/"+busy+"/pods?labelSelector=app%3Dupdog")
}

func curl(arguments ...string) *exec.Cmd {
	pki := directory + "/pki/"
	always := []string{"--silent", "--show-error", "--fail", "--output", os.DevNull,
		"--cacert", pki + "ca.crt", "--cert", pki + "admin.crt", "--key", pki + "admin.key"}
	return exec.Command("curl", append(always, arguments...)...)
}

// slowestQuery sends each query of a check alone, each time on a new connection.
func slowestQuery() (time.Duration, string) {
	command := cbctl(busy, "phases", "check", "cache", "-o", "json")(0)
	answer, _ := command.Output() // Exit codes 3 and 4 come with an answer too.
	var report struct {
		Queries []struct {
			Promql   string
			At       *time.Time
			From, To *time.Time
			Step     float64
		}
	}
	must(0, json.Unmarshal(answer, &report))
	var slowest time.Duration
	var name string
	for _, query := range report.Queries {
		form := url.Values{"query": {query.Promql}}
		path := "/api/v1/query"
		if query.At != nil {
			form.Set("time", strconv.FormatInt(query.At.Unix(), 10))
		} else {
			path = "/api/v1/query_range"
			form.Set("start", strconv.FormatInt(query.From.Unix(), 10))
			form.Set("end", strconv.FormatInt(query.To.Unix(), 10))
			form.Set("step", strconv.FormatFloat(query.Step, 'f', -1, 64))
		}
		var took []time.Duration
		for range rounds {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			began := time.Now()
			response := must(client.Post(prometheus+path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode())))
			must(io.Copy(io.Discard, response.Body))
			response.Body.Close()
			took = append(took, time.Since(began))
		}
		if median(took) > slowest {
			slowest, name = median(took), query.Promql
		}
	}
	return slowest, name
}

func ms(duration time.Duration) float64 { return float64(duration.Microseconds()) / 1000 }

func mib(kib int64) float64 { return float64(kib) / 1024 }

func ratio(a, b *subject) float64 { return float64(a.time()) / float64(b.time()) }
