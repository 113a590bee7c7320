package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// As many as cbctl sends at once, for curl as well.
const atOnce = "32"

// A service with pods and a canary must be switched off as fast as one without any.
func emergencyInACrowd() {
	fmt.Println("emergency rollback of 20 pods and a canary")
	apply(crowd, updog("updog", 20, labels{"app": "updog"}),
		updog("updog-canary", 1, labels{"app": "updog", "cbctl.dev/canary": "true"}))
	must(0, kubectlIn(crowd, "rollout", "status", "deployment/updog", "--timeout=300s"))
	emergency := &subject{name: "cbctl rollback --emergency --no-wait", make: cbctl(crowd, "examples/quick", "rollback", "--emergency", "--no-wait")}
	samePatch := &subject{name: "curl, the patch of the main Deployment", make: func(round int) *exec.Cmd { return curlPatch(crowd, round) }}
	must(0, measure(rounds, emergency, samePatch))
	emergency.print()
	samePatch.print()
	judge("against curl, with the canary", ratio(emergency, samePatch), 1.3, "x")
}

// emergencyOfMany switches off so many Deployments without pods at once.
func emergencyOfMany(deployments int) {
	fmt.Printf("emergency rollback of %d deployments\n", deployments)
	folder := must(os.MkdirTemp("", "bench"))
	defer os.RemoveAll(folder)
	var manifests []map[string]any
	var urls strings.Builder
	for index := range deployments {
		name := fmt.Sprintf("updog-%03d", index)
		manifests = append(manifests, updog(name, 0, labels{"app": name}))
		rollout(folder, name)
		fmt.Fprintf(&urls, "url = %q\noutput = %q\n", patchURL(many, name), os.DevNull)
	}
	apply(many, manifests...)
	config := filepath.Join(folder, "curl")
	must(0, os.WriteFile(config, []byte(urls.String()), 0o600))

	all := []string{"--files", folder, "--namespace", many, "rollback", "--emergency", "--all", "--no-wait"}
	emergency := &subject{name: "cbctl rollback --emergency --all --no-wait", make: func(int) *exec.Cmd { return cbctlWith(all...) }}
	samePatches := &subject{name: "curl --parallel, the same patches", make: func(round int) *exec.Cmd {
		return curl(append(patchOptions(round), "--parallel", "--parallel-max", atOnce, "--config", config)...)
	}}
	must(0, measure(4, emergency, samePatches))
	emergency.print()
	samePatches.print()
	judge("against curl", ratio(emergency, samePatches), 1.5, "x")
	judge("memory", mib(median(emergency.rss)), 64, " MiB")

	// The same with a pod each, from on to off; the pods restart only once, so that it is measured only once.
	for _, manifest := range manifests {
		spec := manifest["spec"].(map[string]any)
		spec["replicas"] = 1
		spec["template"].(map[string]any)["spec"].(map[string]any)["containers"] = containers("true")
	}
	apply(many, manifests...)
	must(0, kubectlIn(many, "wait", "deployment", "--all", "--for=condition=Available", "--timeout=300s"))
	verified := &subject{name: "cbctl rollback --emergency --all, a pod each", make: func(int) *exec.Cmd {
		return cbctlWith("--files", folder, "--namespace", many, "rollback", "--emergency", "--all")
	}}
	must(0, measure(1, verified))
	verified.print()
	judge("memory", mib(median(verified.rss)), 64, " MiB")
}

type labels map[string]string

func updog(name string, replicas int, pods labels) map[string]any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"replicas": replicas,
			"selector": map[string]any{"matchLabels": pods},
			"template": map[string]any{
				"metadata": map[string]any{"labels": pods},
				"spec":     map[string]any{"containers": containers("false")},
			},
		},
	}
}

func containers(value string) []any {
	env := []map[string]string{}
	for _, flag := range flags {
		env = append(env, map[string]string{"name": flag, "value": value})
	}
	return []any{map[string]any{"name": "updog", "image": "registry.example/updog:1.4.2", "env": env}}
}

func rollout(folder, name string) {
	text := fmt.Sprintf("apiVersion: cbctl.dev/v1\nkind: Rollout\nname: %s\ntarget: {deployment: %s, container: updog}\nbreakers:\n", name, name)
	for _, flag := range flags {
		text += fmt.Sprintf("  %s: {flag: %s, match: '.*'}\n", strings.ToLower(strings.Split(flag, "_")[1]), flag)
	}
	folder = filepath.Join(folder, name)
	must(0, os.Mkdir(folder, 0o700))
	must(0, os.WriteFile(filepath.Join(folder, "rollout.yaml"), []byte(text), 0o600))
}

func apply(namespace string, manifests ...map[string]any) {
	list := must(json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": manifests}))
	command := exec.Command(kubectl, "--kubeconfig", directory+"/kubeconfig", "-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-")
	command.Stdin = bytes.NewReader(list)
	must(command.Output())
}

func kubectlIn(namespace string, arguments ...string) error {
	arguments = append([]string{"--kubeconfig", directory + "/kubeconfig", "-n", namespace}, arguments...)
	return exec.Command(kubectl, arguments...).Run()
}
