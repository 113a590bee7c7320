// main.go owns nothing but the entry: the upstream kubectl of the cluster's
// version. It is a program of its own because it starts faster that way.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() { os.Exit(cli.Run(cmd.NewDefaultKubectlCommand())) }
