-- Look-ups of people chosen at random: LINKS and ISSUER (a SHA-1) come from the environment.
local links, path = tonumber(os.getenv("LINKS")), "/api/v1/target/hpc/mapping/issuer/" .. os.getenv("ISSUER") .. "/user/user"
local threads = 0

function setup(thread)
   threads = threads + 1
   thread:set("seed", threads)
end

function init()
   math.randomseed(os.time() * 1000 + seed)
end

function request()
   return wrk.format("GET", path .. math.random(0, links - 1) .. "%40uni.example")
end
