package peertest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// RequireNodeSMPP skips the test if node or its package smpp is missing, but
// fails it under OTPCOURIER_REAL=require. NODE_PATH may give the package's
// folder.
func RequireNodeSMPP(t *testing.T) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "node", "-e", "require('smpp')").Run(); err != nil {
		reason := fmt.Sprintf("node-smpp is not there (npm install smpp@0.5.1, NODE_PATH): %v", err)
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
}
