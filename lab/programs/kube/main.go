// Command kube is every Kubernetes program of the lab in one binary: the first argument says which.
//
// One binary shares its pages between the processes that run from it, so six of them cost little more memory
// than their heaps, and one link step serves all.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"context"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// commands makes each program's command; a command is made only when it is asked for, since each registers flags.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if name == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	make, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "usage: kube PROGRAM [ARGUMENT…]\nPROGRAM is one of: %s\n", strings.Join(names(), ", "))
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	os.Exit(cli.Run(make()))
}

func names() []string {
	all := []string{"etcd"}
	for name := range commands {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}
