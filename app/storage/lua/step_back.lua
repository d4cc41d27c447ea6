-- Take back what ticks wrote whose `as_of` was ahead of the clock.
--
-- The state as it was kept before them becomes the state again. If none was kept, or it is ahead too,
-- there is no state, and the ticker is built anew from its records.
--
-- KEYS  1 state  2 kept state  3 bars  4 patterns
-- ARGV  1 version of the state  2 `as_of` by the caller's clock  3 how far ahead is believed, in ms
--       4 where the records begin of which a state is built anew  5 lifetime of a state in s
--       6 the new version
-- Returns 1 if that was done; 0 if the state is another one, or is not ahead by this server's clock:
-- then it is the caller's clock that is wrong.

local state = redis.call('HMGET', KEYS[1], 'version', 'as_of')
local time = redis.call('TIME')
local server_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if state[1] ~= ARGV[1] or tonumber(state[2]) <= server_ms + tonumber(ARGV[3]) then
  return 0
end

local as_of = tonumber(ARGV[2])
local events_to, bars_to = as_of, tonumber(ARGV[4])
local kept = redis.pcall('HMGET', KEYS[2], 'as_of', 'recent')
local kept_as_of = not kept.err and kept[1] and tonumber(kept[1])
if kept_as_of and kept_as_of <= as_of then
  redis.call('RENAME', KEYS[2], KEYS[1])
  redis.call('HSET', KEYS[1], 'version', ARGV[6])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  events_to, bars_to = kept_as_of, kept_as_of
  if kept[2] and #kept[2] > 1 then -- the bars of its last 2 s are in the state
    bars_to = kept_as_of - 2000
  end
else
  redis.call('DEL', KEYS[1], KEYS[2])
end

-- A stream takes no entry that is older than its newest ever was, so it is written anew.
local newest = redis.pcall('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
if not newest.err and newest[1] and tonumber(string.match(newest[1][1], '^%d+')) > bars_to then
  local ttl = redis.call('TTL', KEYS[3])
  local bars = redis.call('XRANGE', KEYS[3], '-', string.format('%.0f', bars_to))
  redis.call('DEL', KEYS[3])
  for _, bar in ipairs(bars) do
    redis.call('XADD', KEYS[3], bar[1], unpack(bar[2]))
  end
  if #bars > 0 and ttl > 0 then
    redis.call('EXPIRE', KEYS[3], ttl)
  end
end

local events = redis.pcall('ZRANGE', KEYS[4], 0, -1)
if not events.err then
  for _, event in ipairs(events) do
    local noticed_at = tonumber(string.match(event, '"noticed_at":(%d+)') or '')
    if noticed_at and noticed_at > events_to then
      redis.call('ZREM', KEYS[4], event)
    end
  end
end
return 1
