// ports.go owns what a cluster takes of the machine's network: two ports, and
// one /16 of loopback addresses for its pods.
package main

import (
	"fmt"
	"math/rand/v2"
	"net"
)

const (
	maxNet       = 250
	workloadPort = 8080
)

// takePort checks a wanted port or finds a free one. Free ones come from below
// the range from which the kernel serves outgoing connections, so that none of
// those takes it before the server binds it.
func takePort(flag string, wanted int) (int, error) {
	if wanted != 0 {
		if err := canListen(wanted); err != nil {
			return 0, fmt.Errorf("port %d is taken (%s): %w", wanted, flag, err)
		}
		return wanted, nil
	}
	for range 100 {
		if port := 20000 + rand.IntN(12000); canListen(port) == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between 20000 and 32000 for %s", flag)
}

func canListen(port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return listener.Close()
}

// claimNet takes 127.NET.0.0/16 by listening on an address in it that no pod
// gets. The claim is exclusive on the whole machine and ends with the process.
func claimNet(wanted int) (int, net.Listener, error) {
	if wanted != 0 {
		claim, err := listenForClaim(wanted)
		if err != nil {
			return 0, nil, fmt.Errorf("net %d is taken (--net): %w", wanted, err)
		}
		return wanted, claim, nil
	}
	var last error
	for candidate := 1; candidate <= maxNet; candidate++ {
		claim, err := listenForClaim(candidate)
		if err == nil {
			return candidate, claim, nil
		}
		last = err
	}
	return 0, nil, fmt.Errorf("no pod network is free; does something listen on port %d of every address? %w", workloadPort, last)
}

func listenForClaim(net2 int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.%d.255.254:%d", net2, workloadPort))
}
