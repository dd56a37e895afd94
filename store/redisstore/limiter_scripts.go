package redisstore

// A window is the log of a limit's takings, one string, big-endian:
//
//	number of nonces, 1 byte; nonces of the latest calls, at most 8, 8 each
//	how many takings there were before the cells, 6
//	cells, in the order of their times, 14 each: time, 8; how many takings
//	there were in all up to its end, 6
//
// A cell's takings count as if all were at its time, which is that of none of
// them before, so that none is forgotten early. As cells hold sums, the taking
// that decides, so many before the latest, is found by bisection, however many
// there are. Cells are kept for twice Per.

// windows begins the scripts. take is the position of a log's sum before the
// cells, n their number, and sum(log, i, at) that up to the end of cell i,
// counted from 1, at their beginning for 0.
const windows = `
local now, nonce = tonumber(ARGV[1]), ARGV[2]
local logs = redis.call('MGET', unpack(KEYS))
for i, log in ipairs(logs) do logs[KEYS[i]] = log end
local function open(log)
	local at = 2 + 8 * log:byte(1)
	return at, (#log - at - 5) / 14
end
local function sum(log, at, i)
	return (struct.unpack('>I6', log, at + 14 * i))
end
local function time(log, at, i)
	return (struct.unpack('>I8', log, at + 14 * i - 8))
end
local function known(log)
	return log and log:sub(2, 1 + 8 * log:byte(1)):find(nonce, 1, true)
end
local function nonces(log)
	local all = log:sub(2, 1 + 8 * log:byte(1)) .. nonce
	if #all > 64 then all = all:sub(9) end
	return string.char(#all / 8) .. all
end
`

// ARGV: now, nonce, and for each limit Most, Per, step of its cells, whether it
// is a shadow. The answer is how long each is to be waited for. As all take or
// none, a call that one window knows has taken.
var scriptTake = newScript(mayFill + windows + `
local function wait(log, most, per, also)
	if also >= most then return per end
	if not log then return 0 end
	local at, n = open(log)
	local j = sum(log, at, n) - (most - also) + 1
	if j <= sum(log, at, 0) then return 0 end
	local low, high = 1, n
	while low < high do
		local middle = math.floor((low + high) / 2)
		if sum(log, at, middle) >= j then high = middle else low = middle + 1 end
	end
	return math.max(time(log, at, low) - (now - per), 0)
end
local function add(log, per, step)
	if not log then return struct.pack('>Bc8I6I8I6', 1, nonce, 0, now + step, 1), now + step end
	local at, n = open(log)
	local total, from, last = sum(log, at, n), 1, n > 0 and time(log, at, n) or 0
	while from <= n and time(log, at, from) <= now - 2 * per do from = from + 1 end
	local head = log:sub(at, at + 5)
	if from > 1 then head = struct.pack('>I6', sum(log, at, from - 1)) end
	local cells = log:sub(at + 6 + 14 * (from - 1))
	if n >= from and now <= last then
		cells = cells:sub(1, -7) .. struct.pack('>I6', total + 1)
	else
		last = now + step
		cells = cells .. struct.pack('>I8I6', last, total + 1)
	end
	if known(log) then return log:sub(1, at - 1) .. head .. cells, last end
	return nonces(log) .. head .. cells, last
end
local again = false
for i = 1, #KEYS do again = again or known(logs[i]) end
local waits, also, refused = {}, {}, false
for i, key in ipairs(KEYS) do
	local most, per, shadow = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), ARGV[4 * i + 2] == '1'
	local before = also[key] or 0
	waits[i] = wait(logs[key], most, per, before)
	if again and (not shadow or known(logs[key])) then waits[i] = 0 end
	if waits[i] == 0 then also[key] = before + 1 elseif not shadow then refused = true end
end
if again or refused then return waits end
for i, key in ipairs(KEYS) do
	if waits[i] == 0 then
		local per, last = tonumber(ARGV[4 * i]), 0
		logs[key], last = add(logs[key], per, tonumber(ARGV[4 * i + 1]))
		redis.call('SET', key, logs[key], 'PX', math.ceil((last - now + per) / 1000) + 60000)
	end
end
return waits
`)

// ARGV: now, nonce, and for each limit since when takings are looked at: of
// the first cell after that, one is given back.
var scriptGive = newScript(anyhow + windows + `
local function give(log, since)
	local at, n = open(log)
	local i = n + 1
	while i > 1 and time(log, at, i - 1) > since do i = i - 1 end
	if i > n then return log end
	local cells = {log:sub(1, at + 14 * (i - 1) + 5)}
	for k = i, n do
		local left = sum(log, at, k) - 1
		if k > i or left > sum(log, at, i - 1) then
			cells[#cells + 1] = log:sub(at + 14 * k - 8, at + 14 * k - 1) .. struct.pack('>I6', left)
		end
	end
	return table.concat(cells)
end
for i, key in ipairs(KEYS) do
	if known(logs[i]) then return 0 end
end
for i, key in ipairs(KEYS) do
	local log = logs[key]
	if log then
		local given = give(log, tonumber(ARGV[2 + i]))
		if given ~= log then
			local at = open(given)
			logs[key] = given
			if not known(given) then logs[key] = nonces(given) .. given:sub(at) end
			redis.call('SET', key, logs[key], 'KEEPTTL')
		end
	end
end
return 0
`)
