// Real Hadoop, told what to do line by line on standard input; each answer is one line on standard output.

import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.net.SocketFactory;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.protocol.DatanodeInfo;
import org.apache.hadoop.hdfs.protocol.HdfsConstants.DatanodeReportType;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.apache.hadoop.hdfs.server.namenode.NameNode;
import org.apache.hadoop.hdfs.server.namenode.ha.BootstrapStandby;
import org.apache.hadoop.hdfs.tools.DFSHAAdmin;
import org.apache.hadoop.metrics2.lib.DefaultMetricsSystem;
import org.apache.hadoop.net.ScriptBasedMapping;
import org.apache.hadoop.net.StandardSocketFactory;
import org.apache.hadoop.util.ToolRunner;

public class Lab {
  // A DataNode's address is that which its connection comes from: each has one of its own in 127.0.1.0/24.
  public static class Bound extends StandardSocketFactory implements org.apache.hadoop.conf.Configurable {
    private Configuration conf;

    public void setConf(Configuration conf) {
      this.conf = conf;
    }

    public Configuration getConf() {
      return conf;
    }

    @Override
    public Socket createSocket() throws IOException {
      Socket socket = super.createSocket();
      String address = conf.get("lab.address");
      if (address != null) {
        socket.bind(new InetSocketAddress(InetAddress.getByName(address), 0));
      }
      return socket;
    }

    @Override
    public int hashCode() {
      return conf == null ? 0 : String.valueOf(conf.get("lab.address")).hashCode();
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Bound && String.valueOf(((Bound) other).conf.get("lab.address")).equals(String.valueOf(conf.get("lab.address")));
    }
  }

  private static NameNode name;
  private static Configuration base;
  private static File folder;
  private static final Map<String, DataNode> data = new TreeMap<>();

  public static void main(String[] arguments) throws Exception {
    PrintStream answers = System.out; // what Hadoop prints there is no answer of ours
    System.setOut(System.err);
    DefaultMetricsSystem.setMiniClusterMode(true);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.trim().split(" ");
      String answer;
      try {
        answer = done(words[0], Arrays.asList(words).subList(1, words.length));
      } catch (Exception error) {
        answer = "! " + error.toString().replace('\n', ' ');
      }
      answers.println(answer);
      answers.flush();
    }
    System.exit(0);
  }

  private static String done(String word, List<String> rest) throws Exception {
    switch (word) {
      case "resolve":
        return resolve(rest.get(0), Integer.parseInt(rest.get(1)), rest.subList(2, rest.size()));
      case "namenode":
        return namenode(rest.get(0), rest.get(1), Boolean.parseBoolean(rest.get(2)), rest.subList(3, rest.size()));
      case "ha":
        return ha(rest.get(0), rest.get(1), Boolean.parseBoolean(rest.get(2)));
      case "haadmin":
        return String.valueOf(ToolRunner.run(new HdfsConfiguration(base), new DFSHAAdmin(), rest.toArray(new String[0])));
      case "datanode":
        return datanode(rest.get(0));
      case "stop":
        data.remove(rest.get(0)).shutdown();
        return "ok";
      case "racks":
        return racks();
      case "write":
        return write(Integer.parseInt(rest.get(0)), Short.parseShort(rest.get(1)), "/file-");
      case "write-more":
        return write(Integer.parseInt(rest.get(0)), Short.parseShort(rest.get(1)), "/more-");
      case "places":
        return places(rest.get(0));
      default:
        throw new IllegalArgumentException(word);
    }
  }

  // What CachedDNSToSwitchMapping asks its script, as often as its limit of arguments makes it.
  private static String resolve(String script, int limit, List<String> names) {
    Configuration conf = new Configuration();
    conf.set("net.topology.script.file.name", script);
    conf.setInt("net.topology.script.number.args", limit);
    List<String> found = new ScriptBasedMapping(conf).resolve(new ArrayList<>(names));
    return found == null ? "null" : String.join(" ", found);
  }

  // Further settings as key=value; those that a NameNode reads anew belong into hdfs-site.xml on the class path.
  private static String namenode(String where, String script, boolean reject, List<String> more) throws Exception {
    folder = new File(where);
    base = new HdfsConfiguration();
    base.set("fs.defaultFS", "hdfs://127.0.0.1:0");
    base.set("dfs.namenode.rpc-address", "127.0.0.1:0");
    base.set("dfs.namenode.http-address", "127.0.0.1:0");
    base.set("dfs.namenode.name.dir", new File(folder, "name").toURI().toString());
    base.set("net.topology.script.file.name", script);
    base.setBoolean("dfs.namenode.reject-unresolved-dn-topology-mapping", reject);
    base.setBoolean("dfs.namenode.datanode.registration.ip-hostname-check", false);
    base.setInt("dfs.namenode.heartbeat.recheck-interval", 1000);
    base.setInt("dfs.heartbeat.interval", 1);
    base.setInt("dfs.namenode.safemode.min.datanodes", 0);
    base.set("dfs.block.replicator.classname",
        "org.apache.hadoop.hdfs.server.blockmanagement.BlockPlacementPolicyRackFaultTolerant");
    for (String each : more) {
      String[] pair = each.split("=", 2);
      base.set(pair[0], pair[1]);
    }
    NameNode.format(base);
    name = NameNode.createNameNode(new String[] {}, base);
    base.set("fs.defaultFS", "hdfs://127.0.0.1:" + name.getNameNodeAddress().getPort());
    base.set("dfs.namenode.rpc-address", "127.0.0.1:" + name.getNameNodeAddress().getPort());
    return "ok " + name.getNameNodeAddress().getPort() + " " + name.getHttpAddress().getPort();
  }

  // One NameNode of a pair, all of whose settings stand in hdfs-site.xml; the second begins with what the first one has.
  private static String ha(String where, String script, boolean second) throws Exception {
    folder = new File(where);
    base = new HdfsConfiguration();
    base.set("net.topology.script.file.name", script);
    Configuration own = new HdfsConfiguration(base);
    if (second) {
      int done = BootstrapStandby.run(new String[] {"-nonInteractive", "-force"}, own);
      if (done != 0) {
        return "! no standby: " + done;
      }
    } else {
      NameNode.format(own);
    }
    name = NameNode.createNameNode(new String[] {}, own);
    return "ok";
  }

  private static String datanode(String address) throws Exception {
    Configuration conf = new HdfsConfiguration(base);
    conf.set("lab.address", address);
    conf.set("hadoop.rpc.socket.factory.class.default", Bound.class.getName());
    conf.set("dfs.datanode.data.dir", new File(folder, "data-" + address).toURI().toString());
    conf.set("dfs.datanode.address", address + ":0");
    conf.set("dfs.datanode.ipc.address", address + ":0");
    conf.set("dfs.datanode.http.address", address + ":0");
    conf.set("dfs.datanode.hostname", address);
    conf.setInt("dfs.datanode.du.reserved", 0);
    DataNode node = DataNode.instantiateDataNode(new String[] {}, conf);
    node.runDatanodeDaemon();
    data.put(address, node);
    return "ok";
  }

  private static DistributedFileSystem files() throws Exception {
    return (DistributedFileSystem) FileSystem.newInstance(base);
  }

  private static String racks() throws Exception {
    Map<String, String> found = new TreeMap<>();
    try (DistributedFileSystem files = files()) {
      for (DatanodeInfo each : files.getDataNodeStats(DatanodeReportType.LIVE)) {
        found.put(each.getIpAddr(), each.getNetworkLocation());
      }
    }
    return found.toString();
  }

  // The addresses that hold each file's block, of all files whose path begins so.
  private static String places(String prefix) throws Exception {
    List<String> found = new ArrayList<>();
    try (DistributedFileSystem files = files()) {
      for (FileStatus each : files.listStatus(new Path("/"))) {
        if (each.getPath().toUri().getPath().startsWith(prefix)) {
          String[] names = files.getFileBlockLocations(each, 0, 1)[0].getNames();
          found.add(Arrays.stream(names).map(one -> one.substring(0, one.lastIndexOf(':'))).sorted().collect(Collectors.joining(",")));
        }
      }
    }
    return String.join(" ", found);
  }

  // Writes files of one block each; returns on how many racks the replicas of each are.
  private static String write(int count, short replicas, String prefix) throws Exception {
    List<String> spread = new ArrayList<>();
    try (DistributedFileSystem files = files()) {
      for (int number = 0; number < count; number++) {
        Path path = new Path(prefix + number);
        try (FSDataOutputStream out = files.create(path, true, 4096, replicas, 1 << 20)) {
          out.write(new byte[1024]);
        }
        String[] paths = replicas(files, path, replicas);
        spread.add(String.valueOf(Arrays.stream(paths).map(each -> each.substring(0, each.lastIndexOf('/'))).distinct().count()));
      }
    }
    return String.join(" ", spread);
  }

  // A file is closed with its first replica; the NameNode hears of the others a moment later.
  private static String[] replicas(DistributedFileSystem files, Path path, int count) throws Exception {
    String[] paths = {};
    for (int tries = 0; tries < 600 && paths.length < count; tries++) {
      Thread.sleep(tries == 0 ? 0 : 100);
      paths = files.getFileBlockLocations(path, 0, 1)[0].getTopologyPaths();
    }
    return paths;
  }
}
