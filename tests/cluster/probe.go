// probe.go owns what the supervisor says to the members over HTTP: the question
// whether one answers, asked while a cluster starts and again when a running one
// is found, and the creation of an object.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type probe struct{ client http.Client }

// A machine that is busy with something else answers late, and then all the same.
const (
	answerTimeout = 30 * time.Second
	memberTimeout = 2 * time.Minute
)

func apiURL(port int) string        { return fmt.Sprintf("https://127.0.0.1:%d", port) }
func prometheusURL(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// newProbe asks as the administrator and never through a proxy.
func newProbe(o *options) (*probe, error) {
	authority, err := os.ReadFile(o.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("pki/ca.crt holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(o.path("pki", "admin.crt"), o.path("pki", "admin.key"))
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	return &probe{client: http.Client{Timeout: answerTimeout, Transport: transport}}, nil
}

func (p *probe) ask(url string) error {
	response, err := p.client.Get(url)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// create posts an object, written in JSON.
func (p *probe) create(url string, object []byte) error {
	response, err := p.client.Post(url, "application/json", bytes.NewReader(object))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusCreated {
		return nil
	}
	answer, _ := io.ReadAll(response.Body)
	return fmt.Errorf("%s answers %s: %s", url, response.Status, answer)
}

// await asks until the answer is yes, a member ends, or it is told to stop.
func (p *probe) await(url string, ended chan error, stop <-chan os.Signal) error {
	deadline := time.Now().Add(memberTimeout)
	for {
		err := p.ask(url)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %s: %w", memberTimeout, err)
		}
		select {
		case err := <-ended:
			ended <- err // kill counts every end
			return err
		case <-stop:
			return errStopped
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers tells whether a cluster that is said to run can be used.
func answers(o *options, r *ready) error {
	p, err := newProbe(o)
	if err != nil {
		return err
	}
	for _, url := range []string{apiURL(r.Port) + "/readyz", prometheusURL(r.PrometheusPort) + "/-/ready"} {
		if err := p.ask(url); err != nil {
			return fmt.Errorf("does not answer: %w", err)
		}
	}
	return nil
}
