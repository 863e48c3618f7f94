// runc-compat runs the runc-real beside it, and mends two things that machines of an older make lack.
//
// A machine's capability bounding set may lack CAP_SYS_RESOURCE (a virtual machine's or a container's
// often does), and then runc refuses every privileged container: kind's nodes, and kube-proxy within
// them. So it is taken out of what runc is asked for: of the bundle's config.json for `create` and `run`,
// of the process file for `exec`. Where there is nothing to take out, or no such file, runc gets what it got.
//
// On cgroup v1 a frozen process can't be killed, not even by SIGKILL. runc freezes a container for the
// moment in which it sets its limits. If a node is killed in that moment, with the runc that was at work
// in it, nobody thaws what it froze: the node never ends, and `docker rm -f` fails. So after a
// `runc kill ID KILL` everything within the container's cgroup is thawed, until it is gone.
package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const lacking = "CAP_SYS_RESOURCE"

func main() {
	if bundle := flag("--bundle", "-b"); bundle != "" {
		edit(filepath.Join(bundle, "config.json"), "process")
	}
	if process := flag("--process", "-p"); process != "" {
		edit(process, "")
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	runc := filepath.Join(filepath.Dir(self), "runc-real")
	if container, ok := killed(); ok {
		kill(runc, container)
	}
	err = syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	os.Stderr.WriteString("runc-compat: " + runc + ": " + err.Error() + "\n")
	os.Exit(1)
}

// flag is the value of runc's flag, as `--long VALUE`, `--long=VALUE` or `-s VALUE`.
func flag(long, short string) string {
	for i, argument := range os.Args {
		if value, found := strings.CutPrefix(argument, long+"="); found {
			return value
		}
		if (argument == long || argument == short) && i+1 < len(os.Args) {
			return os.Args[i+1]
		}
	}
	return ""
}

// killed is the container that is to be ended for good, if that is what runc is asked for.
func killed() (container string, ok bool) {
	at := slices.Index(os.Args, "kill")
	if at < 0 || len(os.Args) < at+3 {
		return "", false
	}
	switch signal := os.Args[len(os.Args)-1]; strings.TrimPrefix(strings.ToUpper(signal), "SIG") {
	case "9", "KILL":
		return os.Args[len(os.Args)-2], true
	}
	return "", false
}

// kill has runc kill the container, thaws what is left of it for two seconds at most, and ends as runc
// did. It returns, and nothing was done, if the container has no freezer: on cgroup v2.
func kill(runc, container string) {
	content, err := os.ReadFile(filepath.Join(flag("--root", "--root"), container, "state.json"))
	if err != nil {
		return
	}
	var state struct {
		Cgroups map[string]string `json:"cgroup_paths"`
	}
	if json.Unmarshal(content, &state) != nil || state.Cgroups["freezer"] == "" {
		return
	}
	command := exec.Command(runc, os.Args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = command.Run()
	for try := 0; try < 40 && thaw(state.Cgroups["freezer"]); try++ {
		time.Sleep(50 * time.Millisecond)
	}
	os.Exit(command.ProcessState.ExitCode())
}

// thaw tells every cgroup in the tree to go on, and whether there is a process left in it.
func thaw(tree string) (alive bool) {
	_ = filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil // gone meanwhile, or a file
		}
		if processes, _ := os.ReadFile(filepath.Join(path, "cgroup.procs")); len(processes) > 0 {
			alive = true
			_ = os.WriteFile(filepath.Join(path, "freezer.state"), []byte("THAWED"), 0)
		}
		return nil
	})
	return alive
}

// edit takes the capability out of the process that the file describes, below key or as a whole.
func edit(path, key string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return
	}
	var document map[string]any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber() // large numbers stay as they are
	if decoder.Decode(&document) != nil {
		return
	}
	process := document
	if key != "" {
		process, _ = document[key].(map[string]any)
	}
	sets, _ := process["capabilities"].(map[string]any)
	if sets == nil {
		return
	}
	for name, set := range sets {
		list, _ := set.([]any)
		kept := []any{}
		for _, capability := range list {
			if capability != lacking {
				kept = append(kept, capability)
			}
		}
		sets[name] = kept
	}
	if content, err = json.Marshal(document); err == nil {
		_ = os.WriteFile(path, content, 0o600)
	}
}
