// certificates.go owns the identities of a cluster: one authority, the server's
// certificate, and the certificates and kubeconfigs of the users.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is one certificate to issue.
type identity struct {
	file       string // of pki/FILE.crt and pki/FILE.key
	user       string
	groups     []string
	kubeconfig string // written too, unless empty
	serving    bool
	expired    bool
}

// The expired one would be an administrator, so that nothing but its date can
// be the reason why it is refused.
var identities = []identity{
	{file: "sa", user: "serviceaccount"},
	{file: "apiserver", user: "apiserver", serving: true},
	{file: "admin", user: "admin", groups: []string{"system:masters"}, kubeconfig: "kubeconfig"},
	{file: "alice", user: "alice", groups: []string{"testers"}, kubeconfig: "alice.kubeconfig"},
	{file: "bob", user: "bob", groups: []string{"testers"}, kubeconfig: "bob.kubeconfig"},
	{file: "expired", user: "expired", groups: []string{"system:masters"}, kubeconfig: "expired.kubeconfig", expired: true},
}

func writeIdentities(o *options, port int) error {
	if err := os.MkdirAll(o.path("pki"), 0o700); err != nil {
		return err
	}
	a := &authority{dir: o.path("pki")}
	if err := a.issue(identity{file: "ca", user: "testcluster"}); err != nil {
		return err
	}
	for _, i := range identities {
		if err := a.issue(i); err != nil {
			return fmt.Errorf("certificate %s: %w", i.file, err)
		}
		if i.kubeconfig == "" {
			continue
		}
		if err := writeKubeconfig(o, i, apiURL(port)); err != nil {
			return fmt.Errorf("%s: %w", i.kubeconfig, err)
		}
	}
	return nil
}

type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// issue signs a certificate; the first one becomes the authority itself.
func (a *authority) issue(i identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial),
		Subject:      pkix.Name{CommonName: i.user, Organization: i.groups},
		NotBefore:    time.Now().Add(-2 * time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if i.expired {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	if i.serving {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
		template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default.svc"}
	}
	parent, signer := a.certificate, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.ExtKeyUsage = true, true, nil
		template.KeyUsage |= x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	if a.certificate == nil {
		if a.certificate, err = x509.ParseCertificate(der); err != nil {
			return err
		}
		a.key = key
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(a.dir, i.file+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(filepath.Join(a.dir, i.file+".key"), "EC PRIVATE KEY", keyDER)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// writeKubeconfig embeds everything, so that a test can copy the file anywhere.
func writeKubeconfig(o *options, i identity, server string) error {
	encoded := map[string]string{}
	for _, file := range []string{"ca.crt", i.file + ".crt", i.file + ".key"} {
		text, err := os.ReadFile(o.path("pki", file))
		if err != nil {
			return err
		}
		encoded[file] = base64.StdEncoding.EncodeToString(text)
	}
	return os.WriteFile(o.path(i.kubeconfig), fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: %s, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: test, context: {cluster: test, user: %[3]s, namespace: default}}]
`, server, encoded["ca.crt"], i.user, encoded[i.file+".crt"], encoded[i.file+".key"]), 0o600)
}
