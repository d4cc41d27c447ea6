-- Take back what ticks wrote whose clock was ahead.
--
-- The state as it was kept before them becomes the state again. If none was kept, or it is ahead too,
-- there is no state, and the ticker is built anew from its records. A version begins with the time of
-- the tick that wrote it: the `as_of` of a delayed feed lies before that.
--
-- KEYS  1 state  2 kept state  3 bars  4 patterns
-- ARGV  1 version of the state  2 `as_of` by the caller's clock  3 how far ahead is believed, in ms
--       4 where the records begin of which a state is built anew  5 lifetime of a state in s
--       6 the new version
-- Returns 1 if that was done; 0 if the state is another one, or is not ahead by this server's clock:
-- then it is the caller's clock that is wrong.

local time = redis.call('TIME')
local believed_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])

local function is_ahead(version)
  local ticked_at = tonumber(string.match(version or '', '^%d+') or '')
  return ticked_at and ticked_at > believed_ms
end

local version = redis.call('HGET', KEYS[1], 'version')
if version ~= ARGV[1] or not is_ahead(version) then
  return 0
end

local events_to, bars_to = tonumber(ARGV[2]), tonumber(ARGV[4])
local kept = redis.pcall('HMGET', KEYS[2], 'as_of', 'recent', 'version')
local kept_as_of = not kept.err and kept[1] and tonumber(kept[1])
if kept_as_of and not is_ahead(kept[3]) then
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
