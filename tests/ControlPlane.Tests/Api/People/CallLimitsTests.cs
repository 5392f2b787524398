using System.Net;
using System.Net.Sockets;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.People;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People;

/// <summary>How many calls are answered of whom, and who is not kept out by others.</summary>
public sealed class CallLimitsTests(PeopleTests.Host host) : IClassFixture<PeopleTests.Host>
{
    private static readonly AgentClaims Agent = new(new GangId(new StageId("of-alpha", "pretrain"), 1), new NodeId("node-0000"));
    private static readonly IPAddress Guessing = IPAddress.Parse("127.0.0.7");

    private CallLimits Limits => host.Services.GetRequiredService<CallLimits>();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public void Each_has_a_budget_of_his_own_and_the_owner_none()
    {
        using var limits = new CallLimits();
        var (ann, ben) = (Of("ann"), Of("ben"));
        Assert.Equal(CallLimits.OfPerson.AtOnce, Enumerable.Range(0, 100_000).TakeWhile(_ => limits.Of(ann) is null).Count(), Replenished);
        var tooMany = limits.Of(ann) ?? limits.Of(ann);
        Assert.Contains("token ann", tooMany!.Words, StringComparison.Ordinal);
        Assert.Contains("1,000 at once and 100 a second are answered. Try again in 1 s.", tooMany.Words, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(1), tooMany.After);
        Assert.Null(limits.Of(ben));
        Assert.All(Enumerable.Range(0, 5_000), _ => Assert.Null(limits.Of(Holder.Owner)));
    }

    [Fact]
    public void People_of_the_provider_are_not_one_person()
    {
        using var limits = new CallLimits();
        var (ann, ben) = (Of("oidc") with { Person = new Person("https://id", "1", "ann") },
            Of("oidc") with { Person = new Person("https://id", "2", "ben") });
        Drain(() => limits.Of(ann));
        Assert.Null(limits.Of(ben));
    }

    [Fact]
    public void A_network_of_IPv6_is_one_address_and_IPv4_within_it_is_itself()
    {
        using var limits = new CallLimits();
        Guess(limits, IPAddress.Parse("2001:db8::1"));
        Assert.Contains("From 2001:db8::/64", limits.ToShow(IPAddress.Parse("2001:db8::ffff:2"))!.Words, StringComparison.Ordinal);
        Assert.Null(limits.ToShow(IPAddress.Parse("2001:db8:0:1::1")));
        Guess(limits, IPAddress.Parse("::ffff:10.0.0.1"));
        Assert.NotNull(limits.ToShow(IPAddress.Parse("10.0.0.1")));
        Assert.Null(limits.ToShow(IPAddress.Parse("::ffff:10.0.0.2")));
        Guess(limits, null);
        Assert.NotNull(limits.ToShow(null));
    }

    [Fact]
    public async Task Whoever_guesses_waits_and_who_was_let_in_from_there_goes_on()
    {
        using var let = await host.As("viewer", "alpha");
        using var http = From(Guessing);
        using var neighbour = From(IPAddress.Parse("127.0.0.8"));
        var key = host.Services.GetRequiredService<AccessKey>();
        Assert.Equal(HttpStatusCode.OK, await Ask(http, let.Text));
        Assert.Equal(HttpStatusCode.Unauthorized, await Ask(http, "dsops-0123456789-wrong"));
        HttpStatusCode guessed;
        do
        {
            guessed = await Ask(http, "wrong");
        }
        while (guessed == HttpStatusCode.Unauthorized);
        Assert.Equal(HttpStatusCode.TooManyRequests, guessed);

        // Guesses go on meanwhile, as one a second is looked up.
        async Task<HttpResponseMessage> Out(Func<Task<HttpResponseMessage>> ask)
        {
            while (true)
            {
                Guess(Limits, Guessing);
                if (await ask() is { StatusCode: HttpStatusCode.TooManyRequests } answer)
                {
                    return answer;
                }
            }
        }

        using (var answer = await Out(() => Send(http, "/v1/runs", "wrong")))
        {
            Assert.Equal("1", answer.Headers.RetryAfter?.ToString());
            string words = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.Contains("\"code\":8", words, StringComparison.Ordinal);
            Assert.Contains("From 127.0.0.7 too much was shown that opens nothing", words, StringComparison.Ordinal);
        }

        // One that has never opened could be anything; one that was looked up in between has.
        string unseen = "";
        (await Out(async () =>
        {
            using var made = await host.As("viewer", "alpha");
            Guess(Limits, Guessing);
            return await Send(http, "/v1/runs", unseen = made.Text);
        })).Dispose();
        (await Out(() => Send(http, "/?code=wrong", null))).Dispose();
        (await Out(() => Form(http, "wrong"))).Dispose();

        Guess(Limits, Guessing);
        Assert.Equal(HttpStatusCode.OK, await Ask(http, let.Text));
        Assert.Equal(HttpStatusCode.OK, await Ask(http, key.PeoplesToken));
        Assert.Equal(HttpStatusCode.Forbidden, await Ask(http, key.AgentToken(Agent)));
        using (var nobody = await Send(http, "/v1/runs", null))
        {
            Assert.Equal(HttpStatusCode.Unauthorized, nobody.StatusCode);
        }

        Assert.Equal(HttpStatusCode.OK, await Ask(neighbour, unseen));
        Assert.Equal(HttpStatusCode.Unauthorized, await Ask(neighbour, "wrong"));

        // What opens elsewhere is no guess here; and whatever is shown from here is looked up again as soon as nobody guesses.
        Assert.Equal(HttpStatusCode.OK, await Ask(http, unseen));
        while (await Ask(http, "wrong") is var answer && answer != HttpStatusCode.Unauthorized)
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, answer);
            await Task.Delay(TimeSpan.FromMilliseconds(100), Cancelled);
        }
    }

    [Fact]
    public async Task A_person_who_calls_too_often_is_told_by_every_door_and_others_are_answered()
    {
        using var busy = await host.As("viewer", "alpha");
        using var other = await host.As("viewer", "alpha");
        var who = new Holder(busy.Name, Role.Viewer, "alpha", busy.Id);
        RpcException? refused = null;
        while (refused is null)
        {
            Drain(() => Limits.Of(who));
            refused = await Refused(busy.Ops.ListRunsAsync(new ListRunsRequest(), cancellationToken: Cancelled));
        }

        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
        Assert.Contains($"token {busy.Name} (viewer of team alpha) makes too many calls", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Equal("1", refused.Trailers.GetValue("retry-after"));
        HttpStatusCode answer;
        do
        {
            Drain(() => Limits.Of(who));
            answer = await Ask(host.Http, busy.Text);
        }
        while (answer == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.TooManyRequests, answer);
        Assert.Equal(HttpStatusCode.OK, await Ask(host.Http, other.Text));
    }

    [Fact]
    public async Task Acts_that_are_refused_fill_no_audit_log()
    {
        using var eager = await host.As("viewer", "alpha");
        RpcException? refused;
        do
        {
            refused = await Refused(eager.Ops.CancelRunAsync(new RunCommand { Name = "of-alpha" }, cancellationToken: Cancelled));
        }
        while (refused?.StatusCode == StatusCode.PermissionDenied);
        Assert.Equal(StatusCode.ResourceExhausted, refused?.StatusCode);
        Assert.Contains("was refused too often: 100 at once and 1 a second", refused!.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_reports_without_end_is_not_heard_for_a_while()
    {
        string token = host.Services.GetRequiredService<AccessKey>().AgentToken(Agent);
        using var channel = TokenChannel.To(host.Endpoints.Grpc, token);
        var reports = new WorkerService.WorkerServiceClient(channel);
        RpcException? refused;
        do
        {
            Drain(() => Limits.Of(Agent));
            refused = await Refused(reports.HeartbeatAsync(new HeartbeatRequest(), cancellationToken: Cancelled));
        }
        while (refused?.StatusCode != StatusCode.ResourceExhausted);
        Assert.Contains("on node-0000 reports too often", refused.Status.Detail, StringComparison.Ordinal);
        Assert.NotNull(refused.Trailers.GetValue("retry-after"));
    }

    private static Holder Of(string name) => new(name, Role.Viewer, "", name);

    /// <summary>A second may pass meanwhile, and then another.</summary>
    private static bool Replenished(int least, int counted) => counted >= least && (counted - least) % CallLimits.OfPerson.ASecond == 0;

    private static void Drain(Func<TooMany?> call)
    {
        while (call() is null)
        {
        }
    }

    private static void Guess(CallLimits limits, IPAddress? address)
    {
        while (limits.ToShow(address) is null)
        {
            limits.OpenedNothing(address);
        }
    }

    private static async Task<RpcException?> Refused<T>(AsyncUnaryCall<T> call)
    {
        try
        {
            await call;
            return null;
        }
        catch (RpcException e)
        {
            return e;
        }
    }

    private static async Task<HttpStatusCode> Ask(HttpClient http, string token)
    {
        using var answer = await Send(http, "/v1/runs", token);
        return answer.StatusCode;
    }

    private static Task<HttpResponseMessage> Send(HttpClient http, string path, string? token)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        }

        return http.SendAsync(request, Cancelled);
    }

    private Task<HttpResponseMessage> Form(HttpClient http, string token)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/sign-in")
        {
            Content = new FormUrlEncodedContent([KeyValuePair.Create("token", token)]),
        };
        request.Headers.Add("Origin", host.Endpoints.Http);
        return http.SendAsync(request, Cancelled);
    }

    /// <summary>The loopback has 2^24 addresses to call from.</summary>
    private HttpClient From(IPAddress address) => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false, UseCookies = false, UseProxy = false,
        ConnectCallback = async (context, cancellation) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Bind(new IPEndPoint(address, 0));
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    {
        BaseAddress = new Uri(host.Endpoints.Http),
    };
}
