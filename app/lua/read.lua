-- What one tick needs to know, in one round trip.
--
-- KEYS  1 state  2 quotes  3 trades  4 bars  5 patterns
-- ARGV  1 version of the state that the caller holds, "" for none
--       2 as_of, epoch ms
--       3 oldest stamp worth reading where there is no state, epoch ms
--       4 most records a key to read
--       5 most records a key may hold
--       6 lifetime of what is set aside, seconds
-- Reply {version or "", fields of the state unless the version is ARGV[1], what the state's
--        loss left behind (0/1), quotes, trades (member, score, …), records behind the fold
--        that the state does not know of, quotes, trades of the last 2 s in case there are any,
--        records stamped over 5 s ahead, scores that look like seconds, newest quote's score,
--        records behind the fold, "" or the oldest stamp left after trimming cut into what waits,
--        how many of quotes and trades have another type}

local OLDEST = 1e12

local function set_aside(key)
  local aside = string.gsub(key, '^orderflow:', 'orderflow:bad:', 1)
  redis.call('RENAME', key, aside)
  redis.call('EXPIRE', aside, ARGV[6])
end

local state_type = redis.call('TYPE', KEYS[1]).ok
if state_type ~= 'hash' and state_type ~= 'none' then
  set_aside(KEYS[1])
end
local residue = 0
local known = redis.call('HMGET', KEYS[1], 'version', 'as_of', 'behind', 'recent_count', 'lost_to')
if redis.call('EXISTS', KEYS[1]) == 1
  and not (known[1] and tonumber(known[2]) and tonumber(known[3]) and tonumber(known[4])) then
  set_aside(KEYS[1])
  known = {}
  residue = 1
end

-- A key of another type is the broker's affair: left alone, and read as if it were not there.
local records, wrong_type = {}, 0
for i = 2, 3 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind == 'zset' then
    records[#records + 1] = KEYS[i]
  elseif kind ~= 'none' then
    wrong_type = wrong_type + 1
  end
end

local as_of = tonumber(ARGV[2])
local version = known[1] or ''
local folded_to = tonumber(known[2] or nil)
local fields = {}
if version == '' then
  residue = residue + redis.call('EXISTS', KEYS[4], KEYS[5])
  folded_to = tonumber(ARGV[3])
elseif version ~= ARGV[1] then
  fields = redis.call('HGETALL', KEYS[1])
end

local function between(key, from, to, limit)
  if redis.call('TYPE', key).ok ~= 'zset' then
    return {}
  end
  return redis.call('ZRANGEBYSCORE', key, from, to, 'WITHSCORES', 'LIMIT', 0, limit)
end

local function count(from, to)
  local found = 0
  for _, key in ipairs(records) do
    found = found + redis.call('ZCOUNT', key, from, to)
  end
  return found
end

-- A stamp may differ from its score by 1 ms: the margins are read twice and sorted out by stamp.
local quotes = between(KEYS[2], string.format('(%.17g', folded_to - 1), as_of + 1, ARGV[4])
local trades = between(KEYS[3], string.format('(%.17g', folded_to - 1), as_of + 1, ARGV[4])

local behind = count(OLDEST, folded_to)
local unknown, late_quotes, late_trades = 0, {}, {}
if version ~= '' then
  unknown = behind - tonumber(known[3])
  local recent = count(string.format('(%.17g', folded_to - 2000), folded_to)
  if recent ~= tonumber(known[4]) then
    late_quotes = between(KEYS[2], folded_to - 2001, folded_to + 1, ARGV[5])
    late_trades = between(KEYS[3], folded_to - 2001, folded_to + 1, ARGV[5])
  end
end

local newest = {}
if redis.call('TYPE', KEYS[2]).ok == 'zset' then
  newest = redis.call(
    'ZREVRANGEBYSCORE', KEYS[2], as_of + 5000, OLDEST, 'WITHSCORES', 'LIMIT', 0, 1
  )
end
return {
  version, fields, residue, quotes, trades, unknown, late_quotes, late_trades,
  count(string.format('(%.17g', as_of + 5000), '+inf'),
  count('-inf', string.format('(%.17g', OLDEST)),
  newest[2] or '', behind, known[5] or '', wrong_type,
}
