"""What `./dev bench read` is made of: one private server, many clients, one process for each.

A *contestant* reads a table its own way, always in a process of its own (`child`, or the program
itself), so that CPU and peak memory are its own. `launch` stands between, since a child's peak
would otherwise begin at ours. `server` is the MariaDB that all of them read, `endpoint` the S3
server that throws away what it is sent, `goals` what the figures are held against.
"""
