using System.Net;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>The whole process with nothing in it, and nonsense sent to every call of it.</summary>
public sealed partial class HostileInputTests(HostileInputTests.Host host) : IClassFixture<HostileInputTests.Host>
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromMinutes(2);

    private readonly GrpcChannel channel = host.People;
    private readonly GrpcChannel agents = host.Agents;
    private readonly AccessKey key = host.Key;
    private readonly Endpoints endpoints = host.Endpoints;

    [Fact]
    public async Task Nonsense_to_every_call_is_answered_in_words_and_never_an_internal_error()
    {
        var answered = 0;
        foreach (var method in OpsService.Descriptor.Methods.Concat(WorkerService.Descriptor.Methods).Where(m => !m.IsServerStreaming))
        {
            foreach (var request in Nonsense(method.InputType))
            {
                var status = await Call(method, request);
                Assert.False(
                    status.StatusCode is StatusCode.Internal or StatusCode.Unknown or StatusCode.Unimplemented,
                    $"{method.FullName} {request}: {status}"[..Math.Min(400, $"{method.FullName} {request}: {status}".Length)]);
                Assert.True(status.StatusCode == StatusCode.OK || status.Detail.Length > 0, method.FullName);
                answered++;
            }
        }
        Assert.InRange(answered, 60, int.MaxValue);
    }

    /// <summary>A text of one byte that begins no character; a text that is longer than the message; a number without its end.</summary>
    [Theory, InlineData("0A01FF"), InlineData("0A0561"), InlineData("08FF")]
    public async Task Bytes_that_are_no_message_are_refused_as_the_callers_mistake(string message)
    {
        byte[] bytes = Convert.FromHexString(message);
        using var http = new HttpClient(new TokenHeader(key.PeoplesToken) { InnerHandler = new SocketsHttpHandler() });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{endpoints.Grpc}/{OpsService.Descriptor.FullName}/GetRun")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent([0, 0, 0, 0, (byte)bytes.Length, .. bytes]),
        };
        request.Content.Headers.ContentType = new("application/grpc");
        request.Headers.TE.Add(new("trailers"));
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("3", Assert.Single(response.Headers.GetValues("grpc-status")));
        string words = Uri.UnescapeDataString(Assert.Single(response.Headers.GetValues("grpc-message")));
        Assert.Contains("GetRun", words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nonsense_to_a_generation_is_refused_in_words()
    {
        var ops = new OpsService.OpsServiceClient(channel);
        foreach (var request in Nonsense(GenerateRequest.Descriptor).Cast<GenerateRequest>())
        {
            var refused = await Assert.ThrowsAsync<RpcException>(async () =>
            {
                using var call = ops.Generate(
                    request, deadline: TimeProvider.System.GetUtcNow().UtcDateTime + AnswerWithin,
                    cancellationToken: TestContext.Current.CancellationToken);
                await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken);
            });
            Assert.True(refused.StatusCode is StatusCode.InvalidArgument or StatusCode.NotFound, refused.Status.ToString());
            Assert.NotEmpty(refused.Status.Detail);
        }
    }

    [Fact]
    public async Task An_agent_of_another_protocol_is_refused_with_both_numbers()
    {
        var worker = new WorkerService.WorkerServiceClient(agents);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await worker.RegisterAsync(
            new RegisterRequest { Protocol = 7 }, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.FailedPrecondition, refused.StatusCode);
        Assert.Contains("7", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("1", refused.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_pipeline_carries_all_its_problems_as_a_detail()
    {
        var ops = new OpsService.OpsServiceClient(channel);
        var refused = await Assert.ThrowsAsync<RpcException>(async () =>
            await ops.SubmitRunAsync(new SubmitRunRequest { Text = "name: x\nteem: y\nstages: []\n" },
                cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains(refused.GetRpcStatus()?.GetDetail<PipelineProblems>()?.Problems ?? [],
            problem => problem.Field.Contains("teem", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Rest_answers_on_the_pages_port_and_describes_itself()
    {
        using var http = new HttpClient { BaseAddress = new Uri(endpoints.Http) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", key.PeoplesToken);
        var token = TestContext.Current.CancellationToken;
        Assert.Contains("\"nodes\"", await http.GetStringAsync(new Uri("/v1/cluster", UriKind.Relative), token), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(new Uri("/v1/runs/nobody", UriKind.Relative), token)).StatusCode);
        string document = await http.GetStringAsync(new Uri("/openapi.json", UriKind.Relative), token);
        var paths = System.Text.Json.Nodes.JsonNode.Parse(document)?["paths"]?.AsObject();
        Assert.Equal(OpsService.Descriptor.Methods.Count, paths?.Sum(path => path.Value?.AsObject().Count));
        Assert.Contains("GetRun", document, StringComparison.Ordinal);
    }

    private async Task<Status> Call(MethodDescriptor method, IMessage request)
    {
        var untyped = new Method<IMessage, IMessage>(
            MethodType.Unary, method.Service.FullName, method.Name,
            new Marshaller<IMessage>(message => message.ToByteArray(), method.InputType.Parser.ParseFrom),
            new Marshaller<IMessage>(message => message.ToByteArray(), method.OutputType.Parser.ParseFrom));
        var deadline = new CallOptions(deadline: TimeProvider.System.GetUtcNow().UtcDateTime + AnswerWithin);
        try
        {
            var by = method.Service == WorkerService.Descriptor ? agents : channel;
            await by.CreateCallInvoker().AsyncUnaryCall(untyped, null, deadline, request);
            return Status.DefaultSuccess;
        }
        catch (RpcException e)
        {
            return e.Status;
        }
    }

    /// <summary>
    /// Empty; all fields small and wrong; all fields at their extremes; what a database, a page or a spreadsheet might obey.
    /// </summary>
    private static IEnumerable<IMessage> Nonsense(MessageDescriptor type)
    {
        yield return type.Parser.ParseFrom([]);
        yield return Filled(type, "../..\0\x1b[2J", -1, double.NaN, 3);
        yield return Filled(type, new string('x', 200_000), int.MinValue, double.NegativeInfinity, 3);
        yield return Filled(type, "no-such-run", int.MaxValue, double.PositiveInfinity, 3);
        yield return Filled(type, "Ω漢字🙂", 0, double.MaxValue, 3);
        yield return Filled(type, "x'; DROP TABLE run_list; --", 1, 1, 3);
        yield return Filled(type, "<img src=x onerror=alert(1)>", 1, 1, 3);
        yield return Filled(type, "=cmd|' /C calc'!A0\u202e", 1, 1, 3);
    }

    private static IMessage Filled(MessageDescriptor type, string text, int number, double real, int depth)
    {
        var message = type.Parser.ParseFrom([]);
        foreach (var field in type.Fields.InFieldNumberOrder()
            .Where(field => !field.IsMap && (depth > 0 || field.FieldType != FieldType.Message)))
        {
            // The protocol must be right for the rest of a registration to be looked at.
            object value = field is { Name: "protocol" } ? 1 : field.FieldType switch
            {
                FieldType.String => text,
                FieldType.Bool => true,
                FieldType.Double => real,
                FieldType.Float => (float)real,
                FieldType.Int32 => number,
                FieldType.Int64 => (long)number,
                FieldType.UInt32 => unchecked((uint)number),
                FieldType.UInt64 => unchecked((ulong)number),
                FieldType.Enum => number,
                FieldType.Message when field.MessageType.ClrType == typeof(Timestamp) => new Timestamp { Seconds = number, Nanos = number },
                FieldType.Message when field.MessageType.ClrType == typeof(Duration) => new Duration { Seconds = number, Nanos = number },
                FieldType.Message => Filled(field.MessageType, text, number, real, depth - 1),
                _ => throw new NotSupportedException(field.FullName),
            };
            if (field.IsRepeated)
            {
                ((System.Collections.IList)field.Accessor.GetValue(message)).Add(value);
            }
            else
            {
                field.Accessor.SetValue(message, value);
            }
        }
        return message;
    }

    /// <summary>One control plane for all of them: nonsense leaves nothing behind.</summary>
    public sealed class Host : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("dsops-api-").FullName;
        private WebApplication app = null!;

        internal GrpcChannel People { get; private set; } = null!;

        internal GrpcChannel Agents { get; private set; } = null!;

        internal AccessKey Key { get; private set; } = null!;

        internal Endpoints Endpoints { get; private set; } = null!;

        internal IServiceProvider Services => app.Services;

        public async ValueTask InitializeAsync()
        {
            var options = new ControlPlaneOptions { DataDirectory = folder, Port = 0, Cluster = new LocalChoice { Nodes = 1 } };
            Endpoints = Endpoints.Choose(options);
            var database = OpsDatabase.Parse(null, folder);
            await StorageHosting.Prepare(database, CancellationToken.None);
            app = ControlPlaneApp.Build(options, Endpoints, database, logging => logging.ClearProviders());
            await app.StartAsync();
            Key = app.Services.GetRequiredService<AccessKey>();
            People = TokenChannel.To(Endpoints.Grpc, Key.PeoplesToken);
            Agents = TokenChannel.To(Endpoints.Grpc,
                Key.AgentToken(new AgentClaims(new GangId(new StageId("no-such-run", "no-such-run"), 1), new NodeId("no-such-run"))));
        }

        public async ValueTask DisposeAsync()
        {
            People.Dispose();
            Agents.Dispose();
            await app.StopAsync();
            await app.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }
}
