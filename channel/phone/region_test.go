package phone_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/phone"
)

func TestRegions(t *testing.T) {
	t.Parallel()
	regions := phone.Regions()
	if !slices.IsSorted(regions) || len(regions) < 240 || slices.Contains(regions, "001") {
		t.Errorf("%d regions: %v", len(regions), regions)
	}
	for _, region := range regions {
		code := phone.CallingCode(region)
		n, ok := phone.ExampleNumber(region)
		switch {
		case !phone.ValidRegion(region) || code < 1 || code > 999:
			t.Errorf("%s has the calling code %d", region, code)
		case !ok || !strings.HasPrefix(n.E164, "+"+strconv.Itoa(code)):
			t.Errorf("the example of %s is %+v, %v", region, n, ok)
		case n.UnknownRange || !n.Type.SMS() && region != "TA":
			t.Errorf("the example of %s is of type %v", region, n.Type)
		case phone.CallingCode(n.Region) != code:
			t.Errorf("the example of %s is of %s", region, n.Region)
		}
	}
	regions[0] = "changed"
	if phone.Regions()[0] == "changed" {
		t.Error("Regions returns the same slice twice")
	}
}

func TestCallingCode(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]int{
		"GB": 44, "gb": 44, "GG": 44, "US": 1, "CA": 1, "BB": 1, "XK": 383, "UK": 0, "001": 0, "": 0,
	} {
		if got := phone.CallingCode(region); got != want || phone.ValidRegion(region) != (want != 0) {
			t.Errorf("CallingCode(%q) = %d, want %d; valid: %v", region, got, want, phone.ValidRegion(region))
		}
	}
	for _, region := range []string{"", "001", "UK", "Germany"} {
		if n, ok := phone.ExampleNumber(region); ok || n != (phone.Number{}) {
			t.Errorf("ExampleNumber(%q) = %+v, %v", region, n, ok)
		}
	}
	if n, ok := phone.ExampleNumber("gb"); !ok || n.Region != "GB" {
		t.Errorf("ExampleNumber(gb) = %+v, %v", n, ok)
	}
}
