// etcd.go owns the one etcd of a cluster and trades its durability for speed.
package main

import (
	"flag"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

func runEtcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("data-dir", "", "where the data is")
	listen := flags.String("listen", "", "URL for clients")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := url.Parse(*listen)
	if err != nil {
		return err
	}
	wal.SegmentSizeBytes = 4 << 20 // two segments are allocated ahead, of 64 MB each otherwise
	configuration := embed.NewConfig()
	configuration.Dir = *dir
	configuration.LogLevel = "warn"
	configuration.UnsafeNoFsync = true // a test's data need not outlive the machine
	configuration.ListenClientUrls = []url.URL{*client}
	configuration.AdvertiseClientUrls = []url.URL{*client}
	configuration.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}} // one member: nobody dials it
	// NewConfig leaves this 0, with which every request is logged as a slow one.
	configuration.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	configuration.TickMs, configuration.ElectionMs = 10, 100 // it elects itself at once
	server, err := embed.StartEtcd(configuration)
	if err != nil {
		return err
	}
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(memberTimeout):
		server.Close()
		return fmt.Errorf("etcd is not ready after %s", memberTimeout)
	}
	return <-server.Err()
}
