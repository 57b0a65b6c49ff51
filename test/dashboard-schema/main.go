// Reads dashboards strictly by the schema that Grafana publishes for them, panel options and queries included: unknown
// fields, wrong types and missing fields are errors. Prints a line for each file, and ends with 1 if one is wrong.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func check(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict(raw); !isNone(err) {
		return err
	}
	if err := board.Validate(); !isNone(err) {
		return err
	}
	return nil
}

// The SDK returns an empty list of errors where there is none.
func isNone(err error) bool {
	var list cog.BuildErrors
	return err == nil || (errors.As(err, &list) && len(list) == 0)
}

func main() {
	plugins.RegisterDefaultPlugins()
	status := 0
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Printf("%s: %v\n", path, err)
			status = 1
		} else {
			fmt.Printf("%s: good\n", path)
		}
	}
	os.Exit(status)
}
