// runc-compat runs the runc-real beside it, without asking for CAP_SYS_RESOURCE.
//
// A machine's capability bounding set may lack that one (a virtual machine's or a container's often
// does), and then runc refuses every privileged container: kind's nodes, and kube-proxy within them. So
// it is taken out of what runc is asked for: of the bundle's config.json for `create` and `run`, of the
// process file for `exec`. Where there is nothing to take out, or no such file, runc gets what it got.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
