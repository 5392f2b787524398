using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// The dictionary: phrases as PyTorch, NCCL, CUDA, the kernel, Slurm, Kubernetes, .NET and our own ranks print them. On one line the first
/// rule that has a phrase in it wins, so the specific stands before the general: a lost peer before a broken connection before an
/// exception.
/// </summary>
public static partial class ExitRules
{
    /// <summary>In the order in which they are asked.</summary>
    public static ImmutableArray<ExitRule> All { get; } =
    [
        .. NotACause, .. Memory, .. Peers, .. Gpu, .. Checkpoints, .. Files, .. Libraries, .. Collectives, .. Network, .. Input,
        .. Process, .. Exceptions,
    ];

    /// <summary>What holds a cause's phrase and is none: what a launcher adds below it, and what says that all is well.</summary>
    private static ExitRule[] NotACause =>
    [
        new("", Weight.Mild, "Compile with `TORCH_USE_CUDA_DSA`", "For debugging consider passing CUDA_LAUNCH_BLOCKING",
            "CUDA kernel errors might be asynchronously reported", "no error", "without error*",
            "If reserved but unallocated memory is large", "The following values were not passed to",
            "ProcessGroupNCCL preparing to dump debug info", "NCCL_ASYNC_ERROR_HANDLING",
            "Some NCCL operations have failed or timed out. Due to the asynchronous nature of CUDA kernels",
            "To avoid data inconsistency, we are taking the entire process down", "fatal error*0 found", "0 errors"),
    ];

    private static ExitRule[] Peers =>
    [
        new(ExitClasses.PeerEnded, Weight.Peer, "This rank ends because of it", "Collective calls were ended:", "closed its connection",
            "ncclRemoteError", "remote process exited or there was a network error", "Connection closed by remote peer",
            "Connection closed by peer", "NCCL communicator was aborted on rank", "NCCL communicator was aborted",
            "socketProgress: Connection closed by remote peer", "closing signal SIGTERM", "Sending process * closing signal",
            "Another rank * failed", "peer rank # exited", "aborting due to peer", "WorkerGroup * other worker failed",
            "*** STEP # * ON * CANCELLED AT", "srun: Job step aborted", "Terminating job step", "ChildFailedError",
            "one or more of the processes exited", "mpirun noticed that process rank", "MPI_ABORT was invoked",
            "Detected failure from remote", "NCCL watchdog thread terminated with exception: peer", "RankFrameException",
            "Terminated by the application because another"),
    ];

    private static ExitRule[] Collectives =>
    [
        new("nccl-misuse", Weight.Cause, "Duplicate GPU detected", "ncclInvalidUsage", "ncclInvalidArgument",
            "NCCL WARN Invalid config", "Mismatched NCCL version", "NCCL WARN * mismatch", "Detected mismatch between collectives",
            "NCCL library version mismatch", "invalid usage (run with NCCL_DEBUG=WARN"),
        new("nccl-timeout", Weight.Symptom, "Watchdog caught collective operation timeout", "collective operation timeout",
            "ran for # milliseconds before timing out", "Timed out waiting # ms for * operation", "neither sent nor took anything for",
            "was not met within", "NCCL * timed out", "NCCL * timeout", "DistBackendError: * timed out", "Timeout at NCCL work",
            "HeartbeatMonitor * stuck", "Received a dump signal due to a collective timeout", "watchdog got stuck for", "ncclTimeout",
            "barrier timed out", "monitoredBarrier * failed to pass"),
        new("nccl-error", Weight.Symptom, "ncclSystemError", "ncclInternalError", "ncclUnhandledCudaError", "NCCL WARN", "NCCL error",
            "NCCL failure", "unhandled system error (run with NCCL_DEBUG", "unhandled cuda error (run with NCCL_DEBUG",
            "Failed, NCCL error", "NCCL watchdog thread terminated with exception", "ibv_poll_cq * error", "ibv_reg_mr * failed",
            "Got completion from peer * with status", "RoCE * error", "ncclCommInitRank * failed", "DistBackendError"),
    ];

    private static ExitRule[] Network =>
    [
        new("port-in-use", Weight.Cause, "Address already in use", "EADDRINUSE", "address in use", "errno: 98",
            "Only one usage of each socket address", "port is already allocated", "port # is in use", "port # is already in use",
            "bind(*): Address in use", "[Errno 98]", "os error 98", "Adresse wird bereits verwendet", "Adresse déjà utilisée"),
        new("network", Weight.Symptom, "Connection refused", "Connection reset", "Connection timed out", "No route to host",
            "Network is unreachable", "Temporary failure in name resolution", "Name or service not known", "Could not resolve host",
            "nodename nor servname provided", "Broken pipe", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH",
            "cannot be reached", "The client socket has failed to connect to", "failed to connect to * port",
            "RendezvousConnectionError", "RendezvousTimeoutError", "DistStoreError", "DistNetworkError",
            "Timed out after # seconds waiting for clients", "Socket Timeout", "Read timed out", "ConnectTimeout",
            "Max retries exceeded with url", "SocketException", "Name resolution failure", "TLS handshake timeout", "Host is down",
            "Network is down", "The agent cannot be reached", "StatusCode=\"Unavailable\"", "i/o timeout", "HttpRequestException"),
    ];
}
