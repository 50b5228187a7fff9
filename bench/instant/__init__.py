"""What the gateway itself takes: it runs before stages that answer at once and compute nothing.

What a listener then waits for is the gateway, its gRPC calls, the encoding and HTTP; the stages send as many messages
as real ones, no faster than real ones under the same load.
"""
