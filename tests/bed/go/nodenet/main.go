// nodenet is the test bed's pod network, in place of kindnetd, which can't be had as a Go module.
//
// It runs on every node, in the host's network. It gives the node a CNI configuration for its range of
// pod addresses, and a route to the range of each other node; traffic that leaves the pod network gets
// the node's address. Nodes on one Docker network are neighbours, so that is all it takes.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Nodes come, and change their addresses when they restart.
const interval = 2 * time.Second

func main() {
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	self := os.Getenv("NODE_NAME")
	configured := ""
	for ; ; time.Sleep(interval) {
		nodes, err := client.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
		if err != nil {
			log.Print(err)
			continue
		}
		for _, node := range nodes.Items {
			switch {
			case node.Spec.PodCIDR == "": // not given out yet
			case node.Name != self:
				if err := route(node); err != nil {
					log.Print(err)
				}
			case node.Spec.PodCIDR != configured:
				if err := configure(node.Spec.PodCIDR); err != nil {
					log.Print(err)
					continue
				}
				configured = node.Spec.PodCIDR
				log.Print("configured ", configured)
			}
		}
	}
}

// route sends what is for the node's pods to the node.
func route(node corev1.Node) error {
	_, pods, err := net.ParseCIDR(node.Spec.PodCIDR)
	if err != nil {
		return err
	}
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return netlink.RouteReplace(&netlink.Route{Dst: pods, Gw: net.ParseIP(address.Address)})
		}
	}
	return fmt.Errorf("node %s has no internal address", node.Name)
}

// The CNI plugins are those that kind's images have for kindnetd. The addresses in use are kept below
// /run, which is empty after a restart, as the pods are gone then.
const conflist = `{
  "cniVersion": "0.3.1",
  "name": "nodenet",
  "plugins": [
    {
      "type": "ptp",
      "mtu": 1500,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": %q}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// configure sets up this node for pods with addresses in cidr. The file comes last, and all at once:
// the kubelet takes the node to be ready when it is there.
func configure(cidr string) error {
	rule := []string{"POSTROUTING", "-t", "nat", "-s", cidr, "!", "-d", os.Getenv("POD_SUBNET"), "-j", "MASQUERADE"}
	if exec.Command("iptables", append([]string{"-C"}, rule...)...).Run() != nil {
		if out, err := exec.Command("iptables", append([]string{"-A"}, rule...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("iptables: %v: %s", err, out)
		}
	}
	part := "/etc/cni/net.d/.10-nodenet.tmp"
	if err := os.WriteFile(part, fmt.Appendf(nil, conflist, cidr), 0o644); err != nil {
		return err
	}
	return os.Rename(part, "/etc/cni/net.d/10-nodenet.conflist")
}
