package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// spawn runs this command once more, with the metadata of libphonenumber-js,
// and returns the lines that it prints.
func spawn(dir string, arguments ...string) ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.Command(exe, "-with", strings.Join(append([]string{dir}, arguments...), "|"))
	child.Stderr = os.Stderr
	out, err := child.Output()
	return strings.Split(strings.TrimSpace(string(out)), "\n"), err
}

// drawTheirs draws numbers from the ranges of libphonenumber-js.
func drawTheirs(dir string, n int, seed uint64) ([]string, error) {
	return spawn(dir, "draw", strconv.Itoa(n), strconv.FormatUint(seed, 10))
}

// again is the other end of spawn.
func again(with string) error {
	arguments := strings.Split(with, "|")
	theirs, err := theirMetadata(arguments[0])
	if err != nil {
		return err
	}
	if err := load(theirs); err != nil {
		return err
	}
	if arguments[1] == "draw" {
		n, _ := strconv.Atoi(arguments[2])
		seed, _ := strconv.ParseUint(arguments[3], 10, 64)
		all, err := sources()
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(draw(all, n, rand.New(rand.NewPCG(seed, 1))), "\n"))
		return nil
	}
	b, err := os.ReadFile(filepath.Join(arguments[0], "answers"))
	if err != nil {
		return err
	}
	answers, err := decode(b)
	if err != nil {
		return err
	}
	strict = true
	for _, d := range differences(answers) {
		fmt.Println(d.key())
	}
	return nil
}
