package smtp

import "strings"

// A reason is the meaning of a refusal's words about an existing address.
type reason uint8

const (
	reasonNone   reason = iota // no known words
	reasonConns                // too many connections at once
	reasonRate                 // too much mail, or too fast
	reasonFull                 // the mailbox is full
	reasonPolicy               // the content or the sender is unwanted
)

// reasonWords are in lower case; the first that are found count.
var reasonWords = [...]struct {
	reason reason
	words  []string
}{
	{reasonConns, []string{
		"concurren", "too many connections", "number of connections", "connection limit", "too many sessions",
		"thread limit",
	}},
	{reasonRate, []string{
		"throttl", "rate limit", "ratelimit", "rate-limit", "receiving mail at a rate", "receiving mail too quickly",
		"too many messages", "too many mails", "too quickly", "sending rate", "message rate", "sending limit",
		"too much mail", "too many recipients", "limit exceeded", "exceeded the limit",
		"hourly limit", "daily limit", "per hour", "per day",
	}},
	{reasonFull, []string{
		"quota", "mailbox full", "mailbox is full", "inbox is full", "mailfolder is full", "out of storage",
		"insufficient system storage", "exceeded storage", "over its storage", "storage allocation", "storage limit",
		"storage full", "storage is full", "no space left", "not enough space", "not enough storage", "size limit",
		"account is full", "over the limit", "disk full",
	}},
	{reasonPolicy, []string{
		"spam", "blacklist", "blocklist", "blocked", "black list", "block list", "greylist", "graylist",
		"policy", "policies", "reputation", "dmarc", "spf ", "dkim", "banned", "virus", "unauthenticated",
		"relay denied", "relaying denied", "relay access denied", "not permitted to relay", "relay not permitted",
		"recipient preferences", "junk", "unsolicited", "unauthorized", "not authorized", "prohibited",
		"authentication required", "sender address rejected", "sender rejected", "temporarily", "suspend",
	}},
}

// listMarks occur in links to lists of unwanted senders, in lower case.
var listMarks = []string{"spam", "rbl", "dnsbl", "/bl", "block", "blacklist"}

// reasonIn finds the reason in the words of a server, or in a link among them.
func reasonIn(text string) reason {
	text = strings.ToLower(text[:min(len(text), maxReason)])
	for word := range strings.FieldsSeq(text) {
		if strings.Contains(word, "://") && holds(word, listMarks) {
			return reasonPolicy
		}
	}
	text = withoutNames(text)
	for _, r := range reasonWords {
		if holds(text, r.words) {
			return r.reason
		}
	}
	return reasonNone
}

// withoutNames drops addresses, hosts and links, whose parts mean nothing.
func withoutNames(text string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(text) {
		if !strings.ContainsAny(strings.TrimRight(word, ".,:;)"), "@./") {
			b.WriteString(word + " ")
		}
	}
	return b.String()
}

const maxReason = 4 << 10 // octets of a text to search for a reason

// holds reports whether text has one of the words.
func holds(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
