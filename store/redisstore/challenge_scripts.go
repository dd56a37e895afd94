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
local now, nonce = struct.unpack('>I8c8', ARGV[1])
local attempts, expires, max_attempts, max_failures, lock, subject, outcome = struct.unpack('>I4I8I4I4I8c16B', c, 65)
`

// loadRun reads the subject's run of failures.
const loadRun = `
local run = redis.call('HGET', KEYS[2], subject)
local failures, ends, locked, kept = 0, 0, 0, 0
if run then
	failures, ends, locked, kept = struct.unpack('>I4I8BI8', run)
	if ends <= now then failures, ends, locked = 0, 0, 0 end
end
`

// answer ends a script. A status says what was refused, and again that the call
// had its effect before. Where neither is, nor a lock, the answer is the record
// as it was read, which begins with 0 or a nonce. Otherwise there is before it a
// byte, under 32: the status, and 8 for a lock, whose end follows, and 16 for
// again.
const answer = `
local head = (status or 0) + (again and 16 or 0)
if locked == 1 then return struct.pack('>BI8', head + 8, ends) .. c end
return head > 0 and string.char(head) .. c or c
`

// Scripts that add to what the server holds fail when it is out of memory. The
// others have the flag allow-oom: a right code is accepted on a full server.
const (
	mayFill = "#!lua\n"
	anyhow  = "#!lua flags=allow-oom\n"
	reads   = "#!lua flags=no-writes\n"
)

// ARGV: subject's field, record, life in milliseconds.
var scriptCreate = newScript(mayFill + `
local now, nonce = struct.unpack('>I8c8', ARGV[1])
local c = redis.call('GET', KEYS[1])
if c then
	if c:sub(110, 117) == nonce then return '\0' end
	if struct.unpack('>I8', c, 69) > now then return '\1' end
end
local run = redis.call('HGET', KEYS[2], ARGV[2])
if run then
	local _, ends, locked = struct.unpack('>I4I8B', run)
	if locked == 1 and ends > now then return struct.pack('>BI8', 13, ends) end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return '\0'
`)

var scriptGet = newScript(reads + loadChallenge + loadRun + `
local status, again = expires <= now and 2
` + answer)

var scriptAttempt = newScript(mayFill + loadChallenge + loadRun + `
local again = (c:find(nonce, 1, true) or 65) <= 57
local status = not again and
	(expires <= now and 2 or outcome ~= 0 and 3 or locked == 1 and 5 or attempts >= max_attempts and 4)
if again or status then ` + answer + ` end
redis.call('SETRANGE', KEYS[1], '0', struct.pack('>c8c56I4', nonce, c, attempts + 1))
local forget = now + lock
if forget <= now and ends == 0 then return c end
if failures < 4294967295 then failures = failures + 1 end
if ends < forget then ends = forget end
if max_failures > 0 and failures >= max_failures then locked, ends = 1, forget end
if ends <= now then
	redis.call('HDEL', KEYS[2], subject)
	return c
end
local soon = kept < ends + 60000000
if soon then kept = ends + 120000000 end
redis.call('HSET', KEYS[2], subject, struct.pack('>I4I8BI8', failures, ends, locked, kept))
if soon then
	local life = math.ceil((kept - now) / 1000)
	if redis.call('PEXPIRE', KEYS[2], life, 'NX') == 0 then redis.call('PEXPIRE', KEYS[2], life, 'GT') end
end
if not run and nonce:byte(8) < 32 then
	local some, dead = redis.call('HRANDFIELD', KEYS[2], '24', 'WITHVALUES'), {}
	for i = 1, #some, 2 do
		if struct.unpack('>I8', some[i + 1], 5) + 60000000 < now then dead[#dead + 1] = some[i] end
	end
	if #dead > 0 then redis.call('HDEL', KEYS[2], unpack(dead)) end
end
` + answer)

// ARGV: outcome, a byte. A code that is accepted ends the run, whatever it is.
var scriptFinish = newScript(anyhow + loadChallenge + `
if ARGV[2] == '\1' and outcome == 0 and now < expires then
	redis.call('SETRANGE', KEYS[1], '108', ARGV[2] .. nonce)
	redis.call('HDEL', KEYS[2], subject)
	return c
end
` + loadRun + `
local again = c:sub(110, 117) == nonce
local status = not again and (expires <= now and 2 or outcome ~= 0 and 3)
if not again and not status then redis.call('SETRANGE', KEYS[1], '108', ARGV[2] .. nonce) end
` + answer)

var scriptResend = newScript(anyhow + loadChallenge + loadRun + `
local sends, next_send, latest, revision = struct.unpack('>I4I8c8I8', c, 118)
local waits = struct.unpack('>I2', c, 182)
local again = latest == nonce
local status = not again and (expires <= now and 2 or outcome ~= 0 and 3 or locked == 1 and 5 or
	sends > waits and 4 or now < next_send and 6)
if not again and not status then
	sends, next_send = sends + 1, 0
	if sends <= waits then
		next_send = now + math.floor(math.max(struct.unpack('>i8', c, 176 + 8 * sends), 0) / 1000)
	end
	redis.call('SETRANGE', KEYS[1], '117', struct.pack('>I4I8c8I8', sends, next_send, nonce, revision + 1))
end
` + answer)

// ARGV: revision, delivery.
var scriptUpdate = newScript(anyhow + loadChallenge + loadRun + `
local revision, recent = struct.unpack('>I8c32', c, 138)
local again = recent:find(nonce, 1, true)
local status = not again and (expires <= now and 2 or revision ~= tonumber(ARGV[2]) and 7)
if not again and not status then
	local delivery = struct.unpack('>I4', c, 178)
	redis.call('SET', KEYS[1], c:sub(1, 137) .. struct.pack('>I8', revision + 1) .. nonce .. recent:sub(1, 24) ..
		c:sub(178, delivery) .. ARGV[3], 'KEEPTTL')
end
` + answer)
