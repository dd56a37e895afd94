package redisstore

// The scripts' KEYS are a challenge and the runs of failures of its bucket, a
// hash by subject: failures in a row, 4 bytes; when they are forgotten, 8;
// whether that is the end of a lock, 1; until when the hash lives at least, 8.
// ARGV begins with the call's time, 8 bytes, and its nonce.
//
// A bucket's runs have one key: for a key of its own, a script would have to
// make up the name of one that is not among KEYS. Those that are forgotten are
// removed by the charges that add others: of 24 picked at random, by one in 8,
// so that at most half of them are dead.
//
// The scripts are most of what a call costs the server. In Lua a call of any
// function costs as much as ten lines, and a string that is made 11 instructions
// a byte, because Redis has it hashed whole: what need not be made is not.

// loadChallenge begins a script that answers with an empty string if there is no
// challenge. Then c is the record, and the rest is what all need of it.
const loadChallenge = `
local c = redis.call('GET', KEYS[1])
if not c then return '' end
local now, nonce = struct.unpack('@stamp[time nonce]', ARGV[1])
local attempts, expires, max_attempts, max_failures, lock, subject, outcome = struct.unpack(
	'@record[attempts expires max_attempts max_failures lock subject outcome]', c, @record.attempts.from)
`

// loadRun reads the subject's run of failures.
const loadRun = `
local run = redis.call('HGET', KEYS[2], subject)
local failures, ends, locked, kept = 0, 0, 0, 0
if run then
	failures, ends, locked, kept = struct.unpack('@run[failures ends locked kept]', run)
	if ends <= now then failures, ends, locked = 0, 0, 0 end
end
`

// answer ends a script. A status says what was refused, and again that the call
// had its effect before. Where neither is, nor a lock, the answer is the record
// as it was read, which begins with 0 or a nonce. Otherwise there is before it a
// byte, under 32: the status, and 8 for a lock, whose end follows, and 16 for
// again.
const answer = `
local head = (status or 0) + (again and @head.again or 0)
if locked == 1 then return struct.pack('>BI8', head + @head.locked, ends) .. c end
return head > 0 and string.char(head) .. c or c
`

// ARGV: subject's field, record, life in milliseconds.
var scriptCreate = newScript(mayFill + `
local now, nonce = struct.unpack('@stamp[time nonce]', ARGV[1])
local c = redis.call('GET', KEYS[1])
if c then
	if c:sub(@record.finish_nonce.from, @record.finish_nonce.to) == nonce then return '\@status.done' end
	if struct.unpack('@record[expires]', c, @record.expires.from) > now then return '\@status.exists' end
end
local run = redis.call('HGET', KEYS[2], ARGV[2])
if run then
	local _, ends, locked = struct.unpack('@run[failures ends locked]', run)
	if locked == 1 and ends > now then return struct.pack('>BI8', @(status.locked + head.locked), ends) end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return '\@status.done'
`)

var scriptGet = newScript(reads + loadChallenge + loadRun + `
local status, again = expires <= now and @status.expired
` + answer)

var scriptAttempt = newScript(mayFill + loadChallenge + loadRun + `
local again = (c:find(nonce, 1, true) or @record.attempts.from) <= @(record.attempts.from - nonce)
local status = not again and
	(expires <= now and @status.expired or outcome ~= 0 and @status.closed or locked == 1 and @status.locked or
	attempts >= max_attempts and @status.exhausted)
if again or status then ` + answer + ` end
redis.call('SETRANGE', KEYS[1], '@record.attempt_nonces.at',
	struct.pack('>c@(nonce)c@(record.attempt_nonces.length - nonce)@record.attempts.format', nonce, c, attempts + 1))
local forget = now + lock
if forget <= now and ends == 0 then return c end
if failures < 4294967295 then failures = failures + 1 end
if ends < forget then ends = forget end
if max_failures > 0 and failures >= max_failures then locked, ends = 1, forget end
if ends <= now then
	redis.call('HDEL', KEYS[2], subject)
	return c
end
local soon = kept < ends + @slack.micros
if soon then kept = ends + @(slack.micros + slack.micros) end
redis.call('HSET', KEYS[2], subject, struct.pack('@run[failures ends locked kept]', failures, ends, locked, kept))
if soon then
	local life = math.ceil((kept - now) / 1000)
	if redis.call('PEXPIRE', KEYS[2], life, 'NX') == 0 then redis.call('PEXPIRE', KEYS[2], life, 'GT') end
end
if not run and nonce:byte(8) < 32 then
	local some, dead = redis.call('HRANDFIELD', KEYS[2], '24', 'WITHVALUES'), {}
	for i = 1, #some, 2 do
		if struct.unpack('@run[ends]', some[i + 1], @run.ends.from) + @slack.micros < now then dead[#dead + 1] = some[i] end
	end
	if #dead > 0 then redis.call('HDEL', KEYS[2], unpack(dead)) end
end
` + answer)

// ARGV: outcome, a byte. A code that is accepted ends the run, whatever it is.
var scriptFinish = newScript(anyhow + loadChallenge + `
if ARGV[2] == '\@outcome.verified' and outcome == 0 and now < expires then
	redis.call('SETRANGE', KEYS[1], '@record.outcome.at', ARGV[2] .. nonce)
	redis.call('HDEL', KEYS[2], subject)
	return c
end
` + loadRun + `
local again = c:sub(@record.finish_nonce.from, @record.finish_nonce.to) == nonce
local status = not again and (expires <= now and @status.expired or outcome ~= 0 and @status.closed)
if not again and not status then redis.call('SETRANGE', KEYS[1], '@record.outcome.at', ARGV[2] .. nonce) end
` + answer)

var scriptResend = newScript(anyhow + loadChallenge + loadRun + `
local sends, next_send, latest, revision = struct.unpack(
	'@record[sends next_send resend_nonce revision]', c, @record.sends.from)
local waits = struct.unpack('@record[waits]', c, @record.waits.from)
local again = latest == nonce
local status = not again and (expires <= now and @status.expired or outcome ~= 0 and @status.closed or locked == 1 and @status.locked or
	sends > waits and @status.exhausted or now < next_send and @status.too_soon)
if not again and not status then
	sends, next_send = sends + 1, 0
	if sends <= waits then
		next_send = now + math.floor(math.max(struct.unpack('@record[wait]', c,
			@(record.wait.from - record.wait.length) + @record.wait.length * sends), 0) / 1000)
	end
	redis.call('SETRANGE', KEYS[1], '@record.sends.at',
		struct.pack('@record[sends next_send resend_nonce revision]', sends, next_send, nonce, revision + 1))
end
` + answer)

// ARGV: revision, delivery.
var scriptUpdate = newScript(anyhow + loadChallenge + loadRun + `
local revision, recent = struct.unpack('@record[revision update_nonces]', c, @record.revision.from)
local again = recent:find(nonce, 1, true)
local status = not again and (expires <= now and @status.expired or revision ~= tonumber(ARGV[2]) and @status.conflict)
if not again and not status then
	local delivery = struct.unpack('@record[delivery]', c, @record.delivery.from)
	redis.call('SET', KEYS[1], c:sub(1, @record.revision.at) .. struct.pack('@record[revision]', revision + 1) ..
		nonce .. recent:sub(1, @(record.update_nonces.length - nonce)) ..
		c:sub(@record.delivery.from, delivery) .. ARGV[3], 'KEEPTTL')
end
` + answer)
