//go:build tools

// Package containerd17 holds in go.mod what the test bed builds of containerd 1.7. It is never
// compiled. A module of its own: containerd 1.7 and Kubernetes want different versions of the same.
package containerd17

import (
	_ "github.com/containerd/containerd/cmd/containerd"
	_ "github.com/containerd/containerd/cmd/containerd-shim-runc-v2"
	_ "github.com/containerd/containerd/cmd/ctr"
)
