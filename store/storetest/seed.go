package storetest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

// seedVariable names the variable of the environment that replays a random case.
const seedVariable = "STORETEST_SEED"

// random returns the numbers of a random case, and logs how to have the same again.
func random(t tester) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s is %q, want a number", seedVariable, text)
		}
		seed = n
	}
	t.Logf("to replay: %s=%d go test -run '^%s$'", seedVariable, seed, t.Name())
	return rand.New(rand.NewPCG(seed, 0))
}

// wholeStart is the time at which a random case begins: a replay begins at the same
// place of every span of up to 10 minutes that a backend may divide time into.
func wholeStart() time.Time {
	const span = 10 * time.Minute
	return start().Add(span).Truncate(span)
}
