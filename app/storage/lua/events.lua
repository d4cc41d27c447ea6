-- Replace events by their new versions, or remove them.
--
-- KEYS  1 patterns
-- ARGV  for each event: its score, the start of its member, its new member ("" removes it)

for i = 1, #ARGV, 3 do
  local score, start, member = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  for _, earlier in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], score, score)) do
    if string.sub(earlier, 1, #start) == start then
      redis.call('ZREM', KEYS[1], earlier)
    end
  end
  if member ~= '' then
    redis.call('ZADD', KEYS[1], score, member)
  end
end
