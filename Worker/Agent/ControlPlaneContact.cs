using System.Text.Json;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The agent's line to the control plane: one call at a time, each with a deadline. After a call that failed it looks again where the
/// control plane is, and registers before anything else. Used by the agent's loop only; answers come back to it as news.
/// </summary>
internal sealed class ControlPlaneContact(AgentOptions options, ChannelWriter<AgentNews> news, DateTimeOffset now) : IDisposable
{
    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(5);

    /// <summary>With TLS's handshake, which a busy machine delays; less than a call may take, so that the next address is asked.</summary>
    private static readonly TimeSpan ConnectTime = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan WaitingPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private ControlTrust _trust = new(options.ControlPin);
    private readonly Metadata _token = options.Token.Length > 0 ? new Metadata { { "authorization", $"Bearer {options.Token}" } } : [];
    private GrpcChannel? _channel;
    private int _turn;
    private bool _calling;
    private DateTimeOffset _next = now;
    private TimeSpan _pause = FirstPause;
    private TimeSpan _beatEvery = TimeSpan.FromSeconds(1);
    private DateTimeOffset _nextLogs = now;

    public bool Registered { get; private set; }

    public DateTimeOffset LastContact { get; private set; } = now;

    /// <summary>Why nobody decides, in words; empty: somebody does.</summary>
    public string Undecided { get; private set; } = "nobody has answered yet";

    private DateTimeOffset LastDecided { get; set; } = now;

    private bool Met { get; set; }

    /// <summary>Where the last call went, or why there is nowhere to call.</summary>
    public string Address { get; private set; } = "";

    /// <summary>A call is under way or about to be made.</summary>
    public bool Busy => _calling || Urgent;

    /// <summary>How long nobody has decided anything for this agent; null: somebody does.</summary>
    public TimeSpan? Alone(DateTimeOffset at) => Undecided.Length == 0 ? null : at - LastDecided;

    /// <summary>How long nobody answered; null: it is the first word.</summary>
    public TimeSpan? WithoutContact(DateTimeOffset at) => Met ? at - LastContact : null;

    /// <summary>News that should not wait for the next beat.</summary>
    public bool Urgent { get; set; }

    /// <summary>Begins the next call if one is due and none is under way.</summary>
    /// <param name="waiting">Ranks stand still until an order comes: ask for it often.</param>
    public void Advance(DateTimeOffset at, bool waiting, Func<RegisterRequest> register, Func<HeartbeatRequest> beat, Func<LogBatch?> logs)
    {
        if (_calling)
        {
            return;
        }

        if (!Registered)
        {
            if (at >= _next)
            {
                Register(register());
            }
        }
        else if (Urgent || at >= _next)
        {
            Urgent = false;
            _next = at + (waiting ? Min(_beatEvery, WaitingPause) : _beatEvery);
            var request = beat();
            Begin(new ControlPlaneCall.Beat(request), (client, o) => client.HeartbeatAsync(request, o));
        }
        else if (at >= _nextLogs && logs() is { } batch)
        {
            Begin(new ControlPlaneCall.Logs(batch), (client, o) => client.ReportLogsAsync(batch, o));
        }
    }

    /// <returns>What changed in the contact, in words; empty where nothing did.</returns>
    public string Take(ControlPlaneCall call, ControlPlaneAnswer answer, DateTimeOffset at)
    {
        _calling = false;
        switch (answer)
        {
            // Whoever keeps lines may still decide nothing.
            case ControlPlaneAnswer.Replied when call is ControlPlaneCall.Logs:
                LastContact = at;
                return "";
            case ControlPlaneAnswer.NotNow:
                _nextLogs = at + LongestPause;
                return "";
            case ControlPlaneAnswer.Replied { Reply: var reply }:
                bool found = !Registered;
                Registered = true;
                LastContact = at;
                Met = true;
                Undecided = reply.Undecided;
                LastDecided = Undecided.Length == 0 ? at : LastDecided;
                _pause = FirstPause;
                if (reply.BeatEvery is { } every)
                {
                    // Bounded on both sides: a zero would be a busy loop, an hour would look dead.
                    _beatEvery = TimeSpan.FromMilliseconds(Math.Clamp(every.ToTimeSpan().TotalMilliseconds, 50, 60_000));
                }

                _next = found ? at : Min(_next, at + _beatEvery);
                return found ? $"registered with the control plane at {Address}" : "";
            case ControlPlaneAnswer.Lost { Reason: var reason }:
                bool lost = Registered;
                Registered = false;
                Undecided = $"the control plane at {Address} does not answer: {reason}";
                _next = at + _pause;
                _pause = Min(_pause * 2, LongestPause);
                _channel?.Dispose();
                _channel = null;
                _turn++;
                return lost ? $"contact with the control plane lost: {reason}; ranks go on, reports are kept" : "";
            default:
                return "";
        }
    }

    public void Dispose() => _channel?.Dispose();

    private static DateTimeOffset Min(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private void Register(RegisterRequest request)
    {
        var call = new ControlPlaneCall.Register(request);
        _trust = new ControlTrust(options.ControlPin);
        if (FindAddress() is not { } address)
        {
            _calling = true;
            news.TryWrite(new AgentNews.Answered(call, new ControlPlaneAnswer.Lost(Address)));
            return;
        }

        Address = address.ToString();
        _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = _trust.Handler(ConnectTime),
            DisposeHttpClient = true,
        });
        Begin(call, (client, o) => client.RegisterAsync(request, o));
    }

    private Uri? FindAddress()
    {
        string? text = ControlAddresses.At(options.ControlUrl, _turn);
        try
        {
            if (options.ControlFile is { } file)
            {
                using var json = JsonDocument.Parse(File.ReadAllText(file));
                text = json.RootElement.GetProperty("grpc").GetString();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException
            or InvalidOperationException)
        {
            Address = $"{options.ControlFile}: {e.Message}";
            return null;
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            Address = $"'{text}' is not an address of a control plane";
            return null;
        }

        Address = _trust.Refusal(uri);
        return Address.Length == 0 ? uri : null;
    }

    private void Begin(ControlPlaneCall call, Func<WorkerService.WorkerServiceClient, CallOptions, AsyncUnaryCall<WorkerReply>> send)
    {
        _calling = true;
        // The deadline tells the other side; it is a time of the wall clock, and one that is set back would make us wait as much longer.
        var patience = new CancellationTokenSource(CallTime);
        var channel = _channel ?? throw new InvalidOperationException("called before an address was found");
        var how = new CallOptions(_token, DateTime.UnixEpoch + Deadline(), patience.Token);
        _ = Finish(call, send(new WorkerService.WorkerServiceClient(channel), how), patience);
    }

    private static TimeSpan Deadline() => TimeProvider.System.GetUtcNow() + CallTime - DateTimeOffset.UnixEpoch;

    /// <summary>It would be heard later; without that word the message is larger than what is taken.</summary>
    private static bool IsTooOften(RpcException e) => e.Trailers.Get("retry-after") is not null;

    private async Task Finish(ControlPlaneCall call, AsyncUnaryCall<WorkerReply> sent, CancellationTokenSource patience)
    {
        ControlPlaneAnswer answer;
        try
        {
            using (patience)
            using (sent)
            {
                answer = new ControlPlaneAnswer.Replied(await sent);
            }
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.FailedPrecondition && call is ControlPlaneCall.Register)
        {
            answer = new ControlPlaneAnswer.Refused(e.Status.Detail);
        }
        // Lines are for people: a batch that cannot be taken must not keep beats away, which it did by counting as lost contact.
        catch (RpcException e) when (call is ControlPlaneCall.Logs && (e.StatusCode is StatusCode.InvalidArgument or StatusCode.NotFound
            or StatusCode.OutOfRange || (e.StatusCode is StatusCode.ResourceExhausted && !IsTooOften(e))))
        {
            answer = new ControlPlaneAnswer.NotTaken($"{e.StatusCode}: {e.Status.Detail}");
        }
        // Nor must a store of lines that is away; where nobody answers at all the next beat finds it out.
        catch (RpcException e) when (call is ControlPlaneCall.Logs)
        {
            answer = new ControlPlaneAnswer.NotNow($"{e.StatusCode}: {e.Status.Detail}");
        }
        catch (RpcException e)
        {
            answer = new ControlPlaneAnswer.Lost(_trust.Doubt.Length > 0 ? _trust.Doubt : $"{e.StatusCode}: {e.Status.Detail}");
        }

        news.TryWrite(new AgentNews.Answered(call, answer));
    }
}
