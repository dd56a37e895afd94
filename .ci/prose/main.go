// Prose counts patterns of hard-to-read comments in the Go files below a folder,
// tests excluded, per 1,000 sentences. It fails if a row leaves its limit.
//
//	go run ./.ci/prose           the table of the module
//	go run ./.ci/prose smpp      the table of a folder
//	go run ./.ci/prose -list 3   the sentences of row 3, too
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A pattern is a row of the table. Admired Go code has the values of models; the
// limit is within the models' range, with room between it and the module's value.
type pattern struct {
	name        string
	models      string
	least, most float64 // limits per 1,000 sentences; most 0: none
	match       *regexp.Regexp
}

var patterns = []pattern{
	{"begins with What/Who", "0-1", 0, 1, regexp.MustCompile(`^(What|Who|Whoever|Whatever|Whom|Whose)\b.*[^?]$`)},
	{`"who has", "what is" as a noun`, "0-8", 0, 8, regexp.MustCompile(
		`\bwho (has|have|is|was|knows|can|cannot|must)\b|(^|[ (])what (is|was|are|has|it|they|a|the|to)\b`)},
	{`"that is/are/has"`, "3-28", 0, 26, regexp.MustCompile(`\bthat (is|are|has|have|was|were)\b`)},
	{`"one that", "those of which"`, "0-9", 0, 7, regexp.MustCompile(
		`\b(ones? that|those of which|those that|one which|that of)\b`)},
	{`"in vain", "is told" and the like`, "0-1", 0, 1, regexp.MustCompile(
		`all the same|is told|are told|hears? of|in vain|beside (an|the|its|their) error|taken for|for ever\b`)},
	{"must, should", "28-117", 33, 0, regexp.MustCompile(`\b(must|should)\b`)},
	{"example, such as", "9-20", 13, 0, regexp.MustCompile(`such as|e\.g\.|[Ee]xample`)},
}

// plain is an antecedent: "a person who has" is plain English.
var plain = regexp.MustCompile(`\b(people|persons?|anyone|somebody),? who\b`)

func main() {
	list := flag.Int("list", 0, "`row` whose sentences to print")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	sentences, counts, err := count(root, *list)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%-34s %9s %9s %9s\n", fmt.Sprintf("%d sentences, per 1,000", sentences), "models", "limit", "here")
	failed := false
	for i, p := range patterns {
		here := 1000 * float64(counts[i]) / float64(max(sentences, 1))
		limit, verdict := fmt.Sprintf("%.1f-", p.least), ""
		if p.most > 0 {
			limit = fmt.Sprintf("-%.1f", p.most)
		}
		if here < p.least || p.most > 0 && here > p.most {
			verdict, failed = "  outside the limit", root == "."
		}
		fmt.Printf("%d %-32s %9s %9s %9.1f%s\n", i+1, p.name, p.models, limit, here, verdict)
	}
	if failed {
		fmt.Println("See the rules of English in .github/CONTRIBUTING.md; -list ROW prints the sentences of a row.")
		os.Exit(1)
	}
}

// count returns the number of sentences, and of those that match each pattern.
func count(root string, list int) (sentences int, counts []int, err error) {
	counts = make([]int, len(patterns))
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && path != root && (name[0] == '.' || name == "testdata" || name == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, group := range f.Comments {
			for _, s := range sentencesOf(group) {
				sentences++
				for i, p := range patterns {
					if !p.match.MatchString(plain.ReplaceAllString(s, "")) {
						continue
					}
					counts[i]++
					if list == i+1 {
						fmt.Printf("%s: %s\n", files.Position(group.Pos()), s)
					}
				}
			}
		}
		return nil
	})
	return sentences, counts, err
}

// end finds the end of a sentence: the next begins with a capital or a code.
var end = regexp.MustCompile("[.:;!?]\\s+[A-Z`\"\\[]")

// sentencesOf returns the sentences of three words or more in a comment, without
// its code blocks and directives.
func sentencesOf(group *ast.CommentGroup) (all []string) {
	for _, paragraph := range paragraphs(group) {
		for rest := paragraph; rest != ""; {
			s := rest
			if at := end.FindStringIndex(rest); at != nil {
				s = rest[:at[0]+1]
			}
			rest = strings.TrimSpace(rest[len(s):])
			if len(strings.Fields(s)) >= 3 {
				all = append(all, s)
			}
		}
	}
	return all
}

func paragraphs(group *ast.CommentGroup) (all []string) {
	var lines []string
	flush := func() {
		all = append(all, strings.Join(lines, " "))
		lines = nil
	}
	for _, c := range group.List {
		text, ok := strings.CutPrefix(c.Text, "// ")
		if !ok || strings.HasPrefix(text, "nolint") {
			flush() // an empty line, code, or a directive
			continue
		}
		lines = append(lines, strings.TrimSpace(text))
	}
	flush()
	return all
}
