using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Hosting;
using k8s;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>A real kube-apiserver with its etcd, as processes on loopback, built by tests/kubernetes/api-server. No kubelet runs.</summary>
internal sealed class RealApiServer : IAsyncDisposable
{
    public const string Namespace = "dsops";

    /// <summary>In whose name the control plane calls: the account of deploy/kubernetes, with its rights and no others.</summary>
    private const string Account = "system:serviceaccount:dsops:dsops";

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-api-").FullName;
    private readonly int port = LoopbackPort.Free(), etcdPort = LoopbackPort.Free(), peerPort = LoopbackPort.Free();
    private readonly string programs;
    private readonly StringBuilder said = new();
    private Process? etcd, api;

    private RealApiServer(string programs) => this.programs = programs;

    public k8s.Kubernetes Admin { get; private set; } = null!;

    /// <summary>Null: it is not built on this machine.</summary>
    public static string? Programs()
    {
        string script = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../tests/kubernetes/api-server"));
        if (Environment.GetEnvironmentVariable("DSOPS_TEST_KUBERNETES") == "0" || !File.Exists(script))
        {
            return null;
        }

        using var where = Process.Start(new ProcessStartInfo("bash", [script, "--where"]) { RedirectStandardOutput = true })!;
        string text = where.StandardOutput.ReadToEnd().Trim();
        where.WaitForExit();
        return where.ExitCode == 0 ? text : null;
    }

    public static async Task<RealApiServer> Begin(string programs)
    {
        var server = new RealApiServer(programs);
        server.Prepare();
        server.etcd = server.Start("etcd", "--data-dir", Path.Combine(server.folder, "etcd"), "--unsafe-no-fsync",
            "--listen-client-urls", server.Etcd, "--advertise-client-urls", server.Etcd,
            "--listen-peer-urls", $"http://127.0.0.1:{server.peerPort}", "--initial-advertise-peer-urls",
            $"http://127.0.0.1:{server.peerPort}", "--initial-cluster", $"default=http://127.0.0.1:{server.peerPort}");
        await server.StartApi();
        return server;
    }

    public async Task StartApi()
    {
        api = Start("kube-apiserver", "--etcd-servers", Etcd, "--secure-port", Text(port), "--bind-address", "127.0.0.1",
            "--advertise-address", "127.0.0.1", "--cert-dir", Path.Combine(folder, "certificates"), "--endpoint-reconciler-type", "none",
            "--token-auth-file", Path.Combine(folder, "tokens.csv"), "--authorization-mode", "RBAC",
            "--service-account-key-file", Path.Combine(folder, "account.pem"), "--service-account-signing-key-file",
            Path.Combine(folder, "account.pem"), "--service-account-issuer", "https://localhost", "--service-cluster-ip-range",
            "10.0.0.0/24", "--disable-admission-plugins", "ServiceAccount", "--insecure-port", "0");
        Admin = new k8s.Kubernetes(KubernetesClientConfiguration.BuildConfigFromConfigFile(Kubeconfig("admin")));
        await Eventually.Is("the API server answers", Eventually.Patience, async () =>
        {
            try
            {
                await Admin.CoreV1.ListNamespaceAsync();
                return !api.HasExited;
            }
            catch (Exception e) when (e is HttpRequestException or k8s.Autorest.HttpOperationException)
            {
                return false;
            }
        }, Said);
    }

    /// <summary>kill -9, as far as everybody else can tell a crash.</summary>
    public async Task KillApi()
    {
        api!.Kill();
        await api.WaitForExitAsync();
    }

    /// <summary>What went before can be watched from no more.</summary>
    public async Task CompactEtcd()
    {
        using var http = new HttpClient();
        using var now = await http.PostAsJsonAsync($"{Etcd}/v3/kv/range", new { key = "AA==" });
        string revision = (string)JsonNode.Parse(await now.Content.ReadAsStringAsync())!["header"]!["revision"]!;
        using var done = await http.PostAsJsonAsync($"{Etcd}/v3/kv/compaction", new { revision, physical = true });
        done.EnsureSuccessStatusCode();
    }

    /// <summary>What it counts of itself.</summary>
    public async Task<string> Metrics()
    {
        using var handler = new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true };
        using var http = new HttpClient(handler);
        http.DefaultRequestHeaders.Authorization = new("Bearer", "token-of-admin");
        return await http.GetStringAsync($"https://127.0.0.1:{Text(port)}/metrics");
    }

    /// <summary>A kubeconfig file of "admin", or of "dsops", which may do what deploy/kubernetes lets it.</summary>
    public string Kubeconfig(string user)
    {
        string file = Path.Combine(folder, $"{user}.yaml");
        File.WriteAllText(file, $$"""
            apiVersion: v1
            kind: Config
            clusters: [{name: c, cluster: {server: "https://127.0.0.1:{{Text(port)}}", insecure-skip-tls-verify: true} }]
            users: [{name: u, user: {token: "token-of-{{user}}"} }]
            contexts: [{name: x, context: {cluster: c, user: u, namespace: "{{Namespace}}"} }]
            current-context: x
            """);
        return file;
    }

    public string Said()
    {
        lock (said)
        {
            return said.ToString();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in new[] { api, etcd }.OfType<Process>())
        {
            if (!process.HasExited)
            {
                process.Kill();
                await process.WaitForExitAsync();
            }

            process.Dispose();
        }

        Directory.Delete(folder, recursive: true);
    }

    private string Etcd => $"http://127.0.0.1:{Text(etcdPort)}";

    private void Prepare()
    {
        using var key = RSA.Create(2048);
        File.WriteAllText(Path.Combine(folder, "account.pem"), key.ExportRSAPrivateKeyPem());
        File.WriteAllText(Path.Combine(folder, "tokens.csv"), $"""
            token-of-admin,admin,1,"system:masters"
            token-of-dsops,{Account},2,"system:serviceaccounts"

            """);
    }

    private Process Start(string program, params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(Path.Combine(programs, program), arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder,
        })!;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private void Keep(string? line)
    {
        lock (said)
        {
            said.AppendLine(line);
            // Its log says much in a minute; what it said last is what a failure is about.
            said.Remove(0, Math.Max(0, said.Length - 20_000));
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
