using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// The dictionary: phrases as PyTorch, NCCL, CUDA, the kernel, Slurm, Kubernetes, .NET and our own ranks print them, and tables of codes.
/// On one line the first rule that has a phrase in it wins, so the specific stands before the general: a lost peer before a broken
/// connection, a named cause before its number, all of them before an exception's type (<see cref="ExceptionType"/>).
/// </summary>
public static partial class ExitRules
{
    /// <summary>In the order in which they are asked.</summary>
    public static ImmutableArray<ExitRule> All { get; } =
    [
        .. NotACause, .. Speculation, .. Placed, .. Memory, .. Peers, .. Gpu, .. CudaCodes, .. GpuGenerally, .. Checkpoints,
        .. Images, .. Files, .. Libraries, .. Collectives, .. Databases, .. Network, .. Input, .. Process, .. Xids, .. SqlStates,
        .. Answers, .. Errnos, .. Signals,
    ];

    /// <summary>Asked last, behind an exception's type.</summary>
    public static ImmutableArray<ExitRule> Last { get; } = [.. Generally];

    /// <summary>What holds a cause's phrase and is none: what a launcher adds below it, and what says that all is well.</summary>
    private static ExitRule[] NotACause =>
    [
        new("", Weight.Mild, "Compile with `TORCH_USE_CUDA_DSA`", "For debugging consider passing CUDA_LAUNCH_BLOCKING",
            "CUDA kernel errors might be asynchronously reported", "no errors", "no error so far", "without errors",
            "Search for `cudaError*",
            "If reserved but unallocated memory is large", "The following values were not passed to",
            "ProcessGroupNCCL preparing to dump debug info", "NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_ASYNC_ERROR_HANDLING",
            "Some NCCL operations have failed or timed out. Due to the asynchronous nature of CUDA kernels",
            "To avoid data inconsistency, we are taking the entire process down", "fatal error*0 found", "0 errors", "error_file: <N/A>",
            "To enable traceback see", "error_file", "HYDRA_FULL_ERROR", "Address family not supported by protocol",
            "Unable to register cu* factory", "cannot find name for group ID", "cannot find name for user ID", "Inappropriate ioctl",
            "can only test a child process", "cannot set terminal process group", "not a git repository",
            "no version information available", "errors=0", "error: 0", "error=0", "errors: 0", "exit~code~0", "exit~status~0",
            "exited with~0", "exitcode~0", "OOMKilled~false", "oom_kill 0", "/errors/__init__.py", "Back-off restarting failed container",
            "ECC errors: 0", "Xid: none", "on_error", "error_handler", "Disabling lock debugging due to kernel taint", "correctable ECC",
            "corrected error", "Corrected error"),
    ];

    /// <summary>Of another's end, with guesses why.</summary>
    private static ExitRule[] Speculation =>
    [
        new(ExitClasses.PeerEnded, Weight.Peer, "There are some potential root causes", "its worker process has died",
            "A worker died or was killed while executing a task", "Horovod has been shut down", "exception on one of the ranks",
            "communication peer process has unexpectedly disconnected", "failure of the peer -- that is what you need to investigate"),
    ];

    private static ExitRule[] Peers =>
    [
        new(ExitClasses.PeerEnded, Weight.Peer, "This rank ends because of it", "Collective calls were ended:", "closed its connection",
            "ncclRemoteError", "remote process exited or there was a network error", "Connection closed by remote peer",
            "Connection closed by peer", "NCCL communicator was aborted on rank", "NCCL communicator was aborted",
            "socketProgress: Connection closed by remote peer", "closing signal SIGTERM", "Sending process * closing signal",
            "Another rank * failed", "peer rank # exited", "aborting due to peer", "WorkerGroup * other worker failed",
            "srun: Job step aborted", "Terminating job step", "srun: Force Terminated", "Killing * other processes",
            "one or more of the processes exited", "MPI_ABORT was invoked", "CANCELLED AT * DUE TO TASK FAILURE", "tasks #-#: Terminated",
            "Detected failure from remote", "NCCL watchdog thread terminated with exception: peer", "RankFrameException",
            "Terminated by the application because another", "with a peer that * died", "peer process exited", "remote task has failed",
            "heartbeat timeout*remote task", "peer * has failed", "Application error in remote rank", "rank # has failed",
            "ActorDiedError", "The actor died unexpectedly before finishing", "worker * left the group", "member of the group has left",
            "lost communication with rank", "remote end closed the connection", "received abort from rank", "abort requested by rank",
            "exiting because another rank", "Primary job terminated normally, but"),
        new(ExitClasses.PeerEnded, Weight.Peer, "*** STEP # * ON * CANCELLED AT", "ChildFailedError"),
    ];

    private static ExitRule[] Collectives =>
    [
        // NCCL calls it invalid usage, and it is the node's network.
        new("nccl-error", Weight.Cause, "no socket interface found", "Failed to initialize any NET plugin"),
        new("nccl-misuse", Weight.Cause, "invalid argument (run with NCCL_DEBUG=WARN",
            "Duplicate GPU detected", "ncclInvalidUsage", "ncclInvalidArgument", "NCCL WARN Invalid config",
            "Mismatched NCCL version", "NCCL WARN * mismatch", "Detected mismatch between collectives", "NCCL library version mismatch",
            "invalid usage (run with NCCL_DEBUG=WARN", "invalid usage, NCCL version", "invalid argument, NCCL version",
            "mismatched collective", "collective * do not match", "Tensors must be CUDA and dense", "Invalid rank requested",
            "Both * on the same CUDA device", "Message truncated : received", "Tensor list * same size", "not supported by gloo",
            "No backend type associated with device type"),
        new("nccl-timeout", Weight.Symptom, "Watchdog caught collective operation timeout", "collective operation timeout",
            "ran for # milliseconds before timing out", "Timed out waiting # ms for", "Timed out waiting #ms for",
            "neither sent nor took anything for", "was not met within", "NCCL * timed out", "NCCL * timeout",
            "DistBackendError: * timed out", "Timeout at NCCL work", "HeartbeatMonitor * stuck",
            "Received a dump signal due to a collective timeout", "watchdog got stuck for", "ncclTimeout", "barrier timed out",
            "monitoredBarrier * failed to pass", "failed to pass monitoredBarrier", "collective * timed out", "allreduce * timed out",
            "stuck or timed out", "may be stuck", "to join the rendezvous", "Application timeout caused pair closure",
            "Timed out waiting for operation", "no progress for # seconds", "hang detected", "Training is hanging",
            "has not made progress", "Section * timeout detected", "wait timeout after"),
        new("nccl-error", Weight.Symptom, "ncclSystemError", "ncclInternalError", "ncclUnhandledCudaError", "NCCL WARN", "NCCL error",
            "NCCL failure", "unhandled system error", "unhandled cuda error", "internal error, NCCL version", "NCCL Error #",
            "Failed, NCCL error", "NCCL watchdog thread terminated with exception", "ibv_poll_cq * error", "ibv_*() failed",
            "ibv_* failed", "Got completion from peer * with status", "RoCE * error", "ncclCommInitRank * failed", "DistBackendError",
            "IBV_WC_*ERR", "IBV_EVENT_*ERR", "local protection error", "transport retry counter exceeded",
            "transport retry count exceeded", "RNR retry counter exceeded", "mlx5* link down", "UCX  ERROR", "UCX ERROR", "rdma_* failed",
            "RDMA * error", "ibv_* returned", "libfabric * error", "fi_* failed", "NET/OFI * failed", "RCCL error", "HCCL error",
            "port error event", "syndrome 0x"),
    ];

    private static ExitRule[] Network =>
    [
        new("port-in-use", Weight.Cause, "Address already in use", "address in use", "Only one usage of each socket address",
            "port is already allocated", "port # is in use", "port # is already in use", "bind(*): Address in use",
            "Adresse wird bereits verwendet", "Adresse déjà utilisée", "already listening on", "port # already in use",
            "La dirección ya se está usando", "アドレスは既に使用中です", "地址已在使用", "地址已被使用",
            "Адрес уже используется",
            "failed to listen on any local network address"),
        new("network", Weight.Symptom, "Connection refused", "Connection reset", "Connection timed out", "No route to host",
            "Network is unreachable", "Temporary failure in name resolution", "Name or service not known", "Could not resolve host",
            "nodename nor servname provided", "Broken pipe", "Name does not resolve", "no such host", "server misbehaving",
            "cannot be reached", "The client socket has failed to connect to", "failed to connect to", "could not connect to",
            "Couldn't connect to", "Failed to establish a new connection", "couldn't connect to 'https",
            "Could not connect to the endpoint", "RendezvousConnectionError", "RendezvousTimeoutError", "DistStoreError",
            "DistNetworkError", "RendezvousClosedError", "Timed out after # seconds waiting for clients", "clients joined",
            "Socket Timeout", "Read timed out", "ConnectTimeout", "Max retries exceeded with url", "SocketException",
            "Name resolution failure", "TLS handshake timeout", "Host is down", "Network is down", "The agent cannot be reached",
            "i/o timeout", "HttpRequestException", "client socket has timed out", "server closed the connection unexpectedly",
            "connection is closed", "connection was closed", "Connection aborted", "Remote end closed connection",
            "EOF occurred in violation of protocol", "[SSL: *", "certificate verify failed", "context deadline exceeded",
            "the database system is shutting down", "the database system is starting up", "terminating connection due to",
            "SSL SYSCALL error", "connection to server at", "consuming input failed", "Reduce your request rate", "(SlowDown)",
            "(ServiceUnavailable)", "(InternalError)", "(RequestTimeout)", "RequestTimeTooSkewed", "(Throttling*", "rate limit exceeded",
            "Unknown host", "UnknownHostException", "getaddrinfo failed", "getaddrinfo ENOTFOUND", "hostname * not found",
            "The operation has timed out", "configured HttpClient.Timeout", "no healthy upstream", "Unable to connect to",
            "leader election lost", "etcdserver: request timed out", "Verbindungsaufbau abgelehnt", "Connexion refusée",
            "Conexión rehusada", "接続を拒否されました", "拒绝连接", "В соединении отказано",
            "keepalive watchdog timeout", "Deadline Exceeded"),
    ];
}
