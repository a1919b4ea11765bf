-- The generic cell rate algorithm by this server's own clock, for all who share the server.
--
-- KEYS[1]  whom it counts; holds when the bucket is full again, in microseconds
-- ARGV[1]  microseconds in which one request is refilled, a whole number
-- ARGV[2]  requests of a full bucket
-- Answers  {1 if taken else 0, requests left, microseconds until the next is taken}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local window = interval * ARGV[2]
local full = tonumber(redis.call('GET', KEYS[1]) or now)
-- A clock that was set back shuts nobody out for longer than a whole bucket takes.
full = math.min(math.max(full, now), now + window)
local after = full + interval
local wait = after - window - now
if wait > 0 then
  return {0, 0, wait}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, math.floor((now + window - after) / interval), 0}
