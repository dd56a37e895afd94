package sms_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel/sms"
)

// splitter has split-sms cut the texts that it reads.
const splitter = `
const { split } = require("split-sms");
const texts = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(texts.map(t => {
	const s = split(t);
	return { GSM7: s.characterSet === "GSM", Parts: s.parts.map(p => p.content) };
})));`

// cutText is a text in parts.
type cutText struct {
	GSM7  bool
	Parts []string
}

// TestRealSplitSMS compares encoding and parts of 5,000 random texts with the
// npm package split-sms.
func TestRealSplitSMS(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "node", "-e", `require("split-sms")`).CombinedOutput(); err != nil {
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatalf("no split-sms (npm install split-sms, NODE_PATH): %v: %s", err, out)
		}
		t.Skipf("no split-sms (npm install split-sms, NODE_PATH): %v", err)
	}
	texts := randomTexts(5000)
	cmd := exec.CommandContext(t.Context(), "node", "-e", splitter)
	input, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = strings.NewReader(string(input))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs []cutText
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	several := 0
	for i, text := range texts {
		ours := cutUp(t, text)
		if diff := cmp.Diff(theirs[i], ours); diff != "" {
			t.Errorf("%q (-split-sms +sms):\n%s", text, diff)
		}
		if len(ours.Parts) > 1 {
			several++
		}
	}
	t.Logf("%d texts, %d of them of several parts", len(texts), several)
	if len(theirs) != len(texts) || several < len(texts)/4 {
		t.Errorf("too few texts were compared: %d, %d of them of several parts", len(theirs), several)
	}
}

func cutUp(t *testing.T, text string) cutText {
	t.Helper()
	e := sms.Detect(text)
	parts, err := sms.Split(text, e, sms.Ref8(7))
	if err != nil {
		t.Fatal(err)
	}
	cut := cutText{GSM7: e == sms.GSM7}
	for _, p := range parts {
		content, err := sms.Decode(p.Data, e)
		if err != nil {
			t.Fatal(err)
		}
		cut.Parts = append(cut.Parts, content)
	}
	return cut
}

// randomTexts returns texts of all kinds around the lengths at which a text
// takes one part more, the same in each run.
func randomTexts(n int) []string {
	rnd := rand.New(rand.NewPCG(1, 2))
	plain := []rune(strings.ReplaceAll(alphabet, "\x1b", ""))
	dear := []rune("\f^{}\\[~]|€")
	wide := []rune("çŁ→кодहिन्दी漢字اردو")
	astral := []rune("😀𝟒🇫🇷")
	texts := make([]string, n)
	for i := range texts {
		kinds := [][]rune{plain, dear, wide, astral}[:1+rnd.IntN(4)]
		var b strings.Builder
		for range []int{20, 67, 70, 134, 153, 160, 306, 459}[rnd.IntN(8)] - 4 + rnd.IntN(9) {
			from := plain
			if rnd.IntN(8) == 0 {
				from = kinds[rnd.IntN(len(kinds))]
			}
			b.WriteRune(from[rnd.IntN(len(from))])
		}
		texts[i] = b.String()
	}
	return texts
}
